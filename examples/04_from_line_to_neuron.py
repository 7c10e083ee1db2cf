"""From line to neuron: at every step look around and choose the best direction.

A line has two parameters, so its squared error over the data is a surface above the plane of slope
and intercept. Descending it, always in the direction that goes down most, finds the line of least
squares. Put a sigmoid behind the line and it is a neuron, and the same descent trains it.
"""

import sys

import numpy as np
from chapter import Chapter

import tinygrad_edu as tg


def flowers():
    """Petal length and width, in cm, of 150 irises, and their species."""
    measured, species = tg.data.datasets.iris(dtype=np.float64)[:]
    return measured[:, 2], measured[:, 3], species


def descend(loss, start, lr, steps):
    """Plain gradient descent, written out: this is all that an optimizer does.

    loss: from a Tensor (2,) of the two parameters to a number. Returns (steps + 1, 2), the path.
    """
    parameters = tg.tensor(np.array(start), requires_grad=True)
    path = [parameters.data.copy()]
    for _ in range(steps):
        parameters.grad = None
        loss(parameters).backward()
        parameters.data -= lr * parameters.grad.data
        path.append(parameters.data.copy())
    return np.array(path)


# --------------------------------------------------------------------------------------- the line


def line_loss(x, y):
    """The mean squared error, as a function of (slope, intercept)."""
    return lambda p: ((p[0] * x + p[1] - y) ** 2).mean()


def show_line(chapter):
    x, y, _ = flowers()
    loss = line_loss(x, y)
    hessian = tg.hessian(loss)(np.zeros(2))  # the same everywhere: the surface is quadratic
    flat, steep = np.linalg.eigvalsh(hessian)
    lr = 1 / steep
    # Each step leaves at most 1 - lr * flat of the error: so many bring it to 1e-10 of its size.
    steps = int(np.ceil(np.log(1e-10) / np.log(1 - lr * flat)))
    path = descend(loss, (0.0, 2.0), lr, steps)
    expected = np.polyfit(x, y, 1)
    by_hand = np.linalg.lstsq(np.column_stack([x, np.ones_like(x)]), y, rcond=None)[0]
    print(f"the surface curves {steep / flat:.0f} times more across the valley than along it")
    print(f"descent, {steps} steps: width = {path[-1, 0]:.6f} length {path[-1, 1]:+.6f} (cm)")
    print(f"least squares:       width = {expected[0]:.6f} length {expected[1]:+.6f}")
    reach = 1e-10 * np.linalg.norm(path[0] - by_hand) + 1e-14
    chapter.claim(
        "descent finds the line of least squares",
        np.abs(path[-1] - by_hand).max() < reach and np.allclose(expected, by_hand, atol=1e-12),
    )
    losses = np.array([loss(p) for p in path])
    chapter.claim("every step goes down", np.all(np.diff(losses) <= 1e-15))
    return path


def look_around(loss, point, radius, directions):
    """The change of the loss by a step of `radius` in so many directions around; the angle of
    each."""
    angles = np.linspace(-np.pi, np.pi, directions, endpoint=False)
    around = point + radius * np.column_stack([np.cos(angles), np.sin(angles)])
    here = loss(point)
    return angles, np.array([loss(p) - here for p in around])


def show_directions(chapter, path):
    """The best of the directions tried, against minus the gradient.

    With a step r the best direction is off minus the gradient by at most r |H| / (2 |g|), where H
    is the Hessian; the directions tried are a grid, which adds half its spacing.
    """
    x, y, _ = flowers()
    loss, gradient = line_loss(x, y), tg.grad(line_loss(x, y))
    curvature = np.linalg.norm(tg.hessian(loss)(np.zeros(2)), 2)
    directions, radius = 720, 1e-5
    worst, allowed = 0.0, True
    for point in path[:: len(path) // (5 if chapter.quick else 20)][:-1]:
        angles, changes = look_around(loss, point, radius, directions)
        g = gradient(point)
        off = angles[np.argmin(changes)] - np.arctan2(-g[1], -g[0])
        off = abs((off + np.pi) % (2 * np.pi) - np.pi)
        allowed &= off <= np.pi / directions + radius * curvature / (2 * np.linalg.norm(g))
        worst = max(worst, off)
    print(f"of {directions} directions the best is at most {np.degrees(worst):.2f} degrees off")
    chapter.claim("the best direction around is minus the gradient", allowed)


# ------------------------------------------------------------------------------------- the neuron


CENTRE = 16  # mm: measured from here, weight and bias are of one size, and the valley is round


def virginica():
    """Petal width in mm from CENTRE of versicolor and virginica, and 1 for virginica."""
    _, width, species = flowers()
    return 10 * width[species > 0] - CENTRE, (species[species > 0] == 2).astype(np.float64)


def neuron_loss(x, y):
    """The squared error again, with a sigmoid behind the line (weight, bias)."""
    return lambda p: ((tg.sigmoid(p[0] * x + p[1]) - y) ** 2).mean()


def gauss_newton(x, y, steps=50):
    """The same least squares by another road and in NumPy alone: linearise, solve, repeat."""
    p = np.zeros(2)
    inputs = np.column_stack([x, np.ones_like(x)])
    for _ in range(steps):
        out = 1 / (1 + np.exp(-inputs @ p))
        jacobian = (out * (1 - out))[:, None] * inputs
        p = p + np.linalg.lstsq(jacobian, y - out, rcond=None)[0]
    return p


def show_neuron(chapter):
    x, y = virginica()
    loss = neuron_loss(x, y)
    path = descend(loss, (0.0, 2.0), lr=5.0, steps=1000)
    expected = gauss_newton(x, y)
    weight, bias = path[-1]
    print(f"the neuron: sigmoid({weight:.4f} (width - {CENTRE} mm) {bias:+.4f})")
    print(f"Gauss-Newton:       {expected[0]:.4f}                 {expected[1]:+.4f}")
    # Near its end a step leaves 1 - lr * curvature of the error, at most 0.96: nothing, after 1000.
    curvature = np.linalg.eigvalsh(tg.hessian(loss)(path[-1]))[0]
    print(f"  the smaller curvature there is {curvature:.4f}")
    chapter.claim(
        "the same descent trains a sigmoid neuron: it ends where Gauss-Newton does",
        curvature > 0.0075 and np.allclose(path[-1], expected, rtol=0, atol=1e-9),
    )
    threshold = -bias / weight
    right = np.mean((x > threshold) == (y == 1))
    best = max(np.mean((x > t) == (y == 1)) for t in np.unique(x))
    print(f"it fires above {threshold + CENTRE:.2f} mm and is right on {right:.0%}")
    print(f"the best of all thresholds is right on {best:.0%}")
    chapter.claim("no threshold tells virginica from versicolor better", right == best)
    return path


# ----------------------------------------------------------------------------------------- pictures


def surface(ax, loss, slopes, intercepts, levels):
    """Contours of the loss."""
    grid = np.array([[loss(np.array([a, b])) for a in slopes] for b in intercepts])
    drawn = ax.contourf(slopes, intercepts, grid, levels=levels, cmap="Blues_r", extend="both")
    ax.contour(slopes, intercepts, grid, levels=levels, colors="white", linewidths=0.6)
    ax.grid(False)
    return drawn


def draw_path(ax, path):
    """The descent, from a black point to a star."""
    ax.plot(*path.T, color=tg.viz.COLORS[1], marker=".", markersize=5, linewidth=1.5)
    ax.plot(*path[0], "o", color="black", markersize=9)
    ax.plot(*path[-1], "*", color=tg.viz.COLORS[4], markersize=20, markeredgecolor="black")


def draw_line(figure, path):
    x, y, _ = flowers()
    data, ax = figure.subplots(1, 2, width_ratios=[1, 1.15])
    data.scatter(x, y, s=18, color=tg.viz.COLORS[0], alpha=0.6)
    ends = np.array([0.8, 7.1])
    shown = [0, 1, 2, 5, 20, 100, len(path) - 1]
    for i, step in enumerate(shown):
        shade = str(0.8 * (1 - (i + 1) / len(shown)))
        data.plot(ends, path[step, 0] * ends + path[step, 1], color=shade, linewidth=1 + i / 3)
    for step in (0, len(path) - 1):
        text = "start" if step == 0 else f"after {step:,} steps"
        data.text(0.9 if step == 0 else 4.0, 2.08 if step == 0 else 0.75, text, size=12)
    data.set(xlabel="petal length, cm", ylabel="petal width, cm", ylim=(-0.5, 3))
    data.set_title(f"The line after {', '.join(map(str, shown[1:-1]))} ... steps")
    levels = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8]
    drawn = surface(
        ax, line_loss(x, y), np.linspace(-0.9, 1.1, 120), np.linspace(-1.2, 2.6, 120), levels
    )
    draw_path(ax, path)
    figure.colorbar(drawn, ax=ax, label="mean squared error, cm²", format="%g")
    ax.set(xlabel="slope", ylabel="intercept, cm")
    ax.set_title("The same descent on the surface of the error")
    figure.suptitle("Down into the valley, then along it to the line of least squares (star)")


def draw_directions(figure):
    x, y, _ = flowers()
    loss = line_loss(x, y)
    ax, other = figure.subplots(1, 2)
    point = np.array([0.2, 1.0])
    g = tg.grad(loss)(point)
    angles, changes = look_around(loss, point, 1e-3, 360)
    degrees = np.degrees(angles)
    ax.plot(degrees, changes * 1e3)
    best = np.degrees(np.arctan2(-g[1], -g[0]))
    ax.axvline(best, color=tg.viz.COLORS[1], linestyle="--", label="minus the gradient")
    ax.plot(degrees[np.argmin(changes)], changes.min() * 1e3, "ko", label="the best one tried")
    ax.set(xlabel="direction of the step, degrees", ylabel="change of the error, 0.001 cm²")
    ax.set(xticks=range(-180, 181, 90), ylim=(-3.5, 4.6))
    ax.set_title("360 small steps around one point")
    ax.legend(loc="upper right", fontsize=11)
    surface(
        other,
        loss,
        np.linspace(-0.2, 0.6, 100),
        np.linspace(0.6, 1.4, 100),
        np.linspace(0, 3, 13),
    )
    for angle in np.radians(np.arange(0, 360, 15)):
        way = 0.22 * np.array([np.cos(angle), np.sin(angle)])
        other.annotate("", point + way, point, arrowprops={"arrowstyle": "->", "color": "#666666"})
    way = -0.3 * g / np.linalg.norm(g)
    other.annotate(
        "",
        point + way,
        point,
        arrowprops={"arrowstyle": "-|>", "color": tg.viz.COLORS[1], "lw": 3, "mutation_scale": 22},
    )
    other.set(xlabel="slope", ylabel="intercept, cm", aspect="equal")
    other.set_title("It crosses the lines of equal error at right angles")
    figure.suptitle("Look around and choose the best direction: it is minus the gradient")


def draw_neuron(figure, path):
    x, y = virginica()
    data, ax = figure.subplots(1, 2, width_ratios=[1, 1.15])
    spread = np.random.default_rng(0).uniform(-0.04, 0.04, len(x))  # many widths are equal
    for kind, name in ((0, "versicolor: 0"), (1, "virginica: 1")):
        chosen = y == kind
        data.scatter(
            x[chosen],
            (y + spread)[chosen],
            s=22,
            alpha=0.7,
            color=tg.viz.COLORS[kind],
            marker=tg.viz.MARKERS[kind],
            label=name,
        )
    widths = np.linspace(-8, 11, 200)
    shown = [0, 1, 3, 10, 50, len(path) - 1]
    for i, step in enumerate(shown):
        shade = str(0.8 * (1 - (i + 1) / len(shown)))
        out = tg.sigmoid(path[step, 0] * widths + path[step, 1])
        data.plot(widths, out, color=shade, linewidth=1 + i / 3)
    data.set(xlabel=f"petal width, mm from {CENTRE} mm", ylabel="output of the neuron")
    data.set_title(f"The neuron after {', '.join(map(str, shown[:-1]))} ... steps")
    data.legend(loc="center left", fontsize=11)
    drawn = surface(
        ax,
        neuron_loss(x, y),
        np.linspace(-0.3, 2.1, 100),
        np.linspace(-2.5, 2.5, 100),
        [0.04, 0.045, 0.05, 0.06, 0.08, 0.12, 0.18, 0.25, 0.35],
    )
    draw_path(ax, path)
    figure.colorbar(drawn, ax=ax, label="mean squared error", format="%g")
    ax.set(xlabel="weight, 1/mm", ylabel="bias")
    ax.set_title("The same descent on the surface of the error")
    figure.suptitle("A sigmoid behind the line: a neuron, trained by the same descent")


def main():
    chapter = Chapter(__doc__)
    path = show_line(chapter)
    show_directions(chapter, path)
    neuron_path = show_neuron(chapter)
    chapter.picture("04_line", lambda figure: draw_line(figure, path), (12, 5))
    chapter.picture("04_directions", draw_directions, (12, 5))
    chapter.picture("04_neuron", lambda figure: draw_neuron(figure, neuron_path), (12, 5))
    return chapter.finish()


if __name__ == "__main__":
    sys.exit(main())
