"""The third part of chapter 9: a probability becomes a decision by a threshold, and somebody sets
it.

The groups are two halves of the bundled digits: those with less ink than the median (thin) and
those with more (bold), as measured from each image.
"""

import math

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.nn.functional import binary_cross_entropy_with_logits

DIGITS = range(10)


def probabilities(x, y, folds, digit):
    """What a logistic neuron answers to "Is it this digit?": a probability for each example, (n,),
    by a neuron that was not trained on it."""
    x, is_digit = x.reshape(len(x), -1), (y == digit).astype(np.float32)[:, np.newaxis]
    answer = np.empty(len(x))
    for fold in range(5):
        own, rest = folds == fold, folds != fold
        neuron = tg.nn.Linear(x.shape[1], 1, rng=fold)
        optimizer = tg.optim.Adam(neuron.parameters(), lr=0.05)
        inputs, truth = tg.tensor(x[rest]), tg.tensor(is_digit[rest])
        for _ in range(150):
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(neuron(inputs), truth).backward()
            optimizer.step()
        answer[own] = tg.sigmoid(neuron(x[own])).data[:, 0]
    return answer


def rates(probability, true, threshold):
    """(share of false alarms, share of misses) where "yes" begins at the threshold."""
    yes = probability >= threshold
    return yes[~true].mean(), (~yes[true]).mean()


def chance(missed, group):
    """The probability that shuffled groups differ in misses as much as these or more: Fisher's
    exact test, over all tables of these margins (R. A. Fisher, JRSS 98 (1935))."""
    n, n_group, n_missed = len(missed), int(group.sum()), int(missed.sum())

    def table(k):
        return math.comb(n_group, k) * math.comb(n - n_group, n_missed - k)

    possible = range(max(0, n_missed - n + n_group), min(n_group, n_missed) + 1)
    observed = table(int((missed & group).sum()))
    return sum(table(k) for k in possible if table(k) <= observed) / math.comb(n, n_missed)


def who_sets_the_threshold(chapter, x, y, folds):
    ink = x.sum(axis=(1, 2, 3))
    bold = ink > np.median(ink)
    groups = {"thin": ~bold, "bold": bold}
    print(f"\nIs it a ...? yes from 1/2 on; {(~bold).sum()} thin images, {bold.sum()} bold ones")
    print("digit   false alarms   missed       missed by chance alone")
    print("        thin   bold    thin   bold")
    answers = {}
    for digit in DIGITS:
        answer, true = probabilities(x, y, folds, digit), y == digit
        (fa, ma), (fb, mb) = (rates(answer[g], true[g], 0.5) for g in groups.values())
        p = chance((answer < 0.5)[true], bold[true])
        print(f"{digit:5}  {fa:5.1%}  {fb:5.1%}  {ma:5.1%}  {mb:5.1%}   {p:10.2g}")
        answers[digit] = answer, true, p
    digit = min(answers, key=lambda digit: answers[digit][2])
    answer, true, p = answers[digit]
    print(f"The groups differ most for {digit}, which is looked at from here on.")
    chapter.claim(
        f"one threshold misses thin and bold handwriting of a {digit} at different rates, by more "
        "than chance (ten digits were tried, so its probability must be below 0.01 / 10)",
        p < 0.001,
    )
    check_curves(chapter, answer, true)
    equalise(chapter, digit, answer, true, groups)


def check_curves(chapter, answer, true):
    """The ROC curve and its area against their definitions."""
    alarms, hits, thresholds = tg.metrics.roc_curve(answer, true.astype(int))
    counted = np.array([rates(answer, true, t) for t in thresholds])
    yes, no = answer[true], answer[~true]
    wins = (yes[:, np.newaxis] > no).mean() + (yes[:, np.newaxis] == no).mean() / 2
    area = tg.metrics.roc_auc(answer, true.astype(int))
    print(f"area under the ROC curve {area:.6f}; a yes outscores a no in {wins:.6f} of all pairs")
    chapter.claim(
        "each point of the ROC curve is what counting gives, and its area is the rank statistic",
        np.allclose(counted, np.column_stack([alarms, 1 - hits]), rtol=0, atol=1e-12)
        and abs(area - wins) < 1e-12,
    )


def equalise(chapter, digit, answer, true, groups):
    """For each group the threshold at which it is missed as often as all together are at 1/2."""
    aim = rates(answer, true, 0.5)[1]
    chosen = {}
    for name, group in groups.items():
        scores = np.sort(answer[true & group])
        chosen[name] = scores[round(aim * len(scores))]  # so many of them lie below it
    found = {name: rates(answer[g], true[g], chosen[name]) for name, g in groups.items()}
    at_half = {name: rates(answer[g], true[g], 0.5) for name, g in groups.items()}
    for name in groups:
        print(
            f"{name}: from 0.5 on {at_half[name][1]:.1%} missed, {at_half[name][0]:.1%} false "
            f"alarms; from {chosen[name]:.3f} on {found[name][1]:.1%} missed, "
            f"{found[name][0]:.1%} false alarms"
        )
    one_example = sum(1 / (true & group).sum() for group in groups.values())
    apart = [abs(r["thin"][1] - r["bold"][1]) for r in (at_half, found)]
    chapter.claim(
        "a threshold for each group makes their misses equal, to within half an example each",
        apart[1] <= one_example / 2 < apart[0],
    )
    chapter.picture(
        "09_threshold",
        lambda figure: draw_threshold(figure, digit, answer, true, groups, chosen, at_half, found),
        (15, 5),
    )


def draw_threshold(figure, digit, answer, true, groups, chosen, at_half, found):
    left, middle, right = figure.subplots(1, 3)
    colors = dict(zip(groups, ("#0072b2", "#d55e00")))
    thresholds = np.linspace(0, 1, 400)
    for name, group in groups.items():
        color = colors[name]
        curve = np.array([rates(answer[group], true[group], t) for t in thresholds])
        left.plot(thresholds, curve[:, 1], color=color, label=f"{name}: missed")
        left.plot(thresholds, curve[:, 0], "--", color=color, label=f"{name}: false alarms")
        left.axvline(chosen[name], ymax=0.72, color=color, ls=":")
        tg.viz.roc(answer[group], true[group].astype(int), middle, name, color=color)
        alarms, missed = at_half[name]
        middle.plot(alarms, 1 - missed, "o", color=color, ms=9)
    left.axvline(0.5, ymax=0.72, color="0.4", lw=1)
    left.set(xlabel="threshold: yes from this probability on", ylabel="share", ylim=(0, 0.8))
    left.set_title("Each threshold trades misses\nfor false alarms")
    left.legend(loc=(0.13, 0.74), framealpha=1)
    middle.set(xlim=(-0.005, 0.15), ylim=(0.6, 1.01), aspect="auto")
    middle.set_title("ROC (its corner): the points are\none threshold, 1/2, for both")
    places = np.arange(4)
    for shift, name in zip((-0.2, 0.2), groups):
        bars = [at_half[name][1], found[name][1], at_half[name][0], found[name][0]]
        drawn = right.bar(places + shift, bars, 0.38, color=colors[name], label=name)
        right.bar_label(drawn, [f"{share:.1%}" for share in bars], fontsize=9, padding=2)
    labels = ["missed,\n1/2 for both", "missed,\none each"]
    right.set_xticks(
        places, [*labels, *(label.replace("missed", "false alarms") for label in labels)]
    )
    right.set_title("Equal misses, bought with\nunequal false alarms")
    right.legend()
    figure.suptitle(f"Is it a {digit}? Who sets the threshold decides who is missed", fontsize=14)
