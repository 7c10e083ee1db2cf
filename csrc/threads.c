/* threads.c: a pool of threads that share a loop.
 *
 * One job at a time: who finds the pool busy runs its loop alone, which is right when several
 * Python threads train several models. A job is a range of elements for each thread, cut into
 * pieces: whoever takes part takes the pieces of its own range first, so that from job to job it
 * finds what it wrote in its own cache, and then what is left of the others'. A late or a slow
 * worker costs nothing but its help. In particular the caller does not wait for workers that never
 * woke up.
 *
 *      state:  | OPEN | which job | how many workers are inside it |
 *
 * A worker joins by adding one to an open state, and reads the job only then; the caller writes
 * the next job only when nobody is inside. These two rules are all the synchronisation of the
 * job's fields.
 *
 * Kernels follow each other closely, so workers spin before they sleep: sharing with a worker that
 * spins costs less than a microsecond, waking one ten and more, and it comes late. A worker that
 * finds itself on the caller's core leaves it, or sleeps at once, for its spinning would stop the
 * caller: the system puts it there when the other cores are busy. Workers are started by the first
 * loop that is worth it, and never end: a fork leaves the child with an empty pool. */
#define _GNU_SOURCE
#include "internal.h"

#ifdef _WIN32

void tg_parallel_for(size_t count, size_t grain, tg_task task, void *context)
{
    (void)grain;
    if (count > 0) {
        task(context, 0, count);
    }
}

void tg_set_num_threads(int n)
{
    (void)n;
}

int tg_get_num_threads(void)
{
    return 1;
}

#else

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* The parts of the state. */
#define OPEN 0x80000000u
#define INSIDE 0xfffu
#define ONE_JOB (INSIDE + 1)

#define MAX_THREADS 256
#define PIECES_PER_RANGE 4

/* How long a worker spins before it sleeps, and how often it asks for the time and its core. */
#define SPIN_NANOSECONDS 200000
#define SPINS_A_CHECK 64
/* The grains of a job that is worth waking workers for, though no other follows; and how long
 * nobody is woken after a worker woke on the caller's core. */
#define GRAINS_WORTH_WAKING 8
#define REST_NANOSECONDS 1000000
/* How often the caller looks whether the workers are done before it offers them its core. */
#define SPINS_BEFORE_YIELD 4000

/* A thread's part of the job, on a cache line of its own. */
struct range {
    _Alignas(64) atomic_size_t next; /* where the next piece begins */
    size_t end;
};

static struct {
    atomic_flag busy;        /* a caller owns the pool */
    atomic_uint state;       /* OPEN, the job's number, and the number of workers inside */
    atomic_uint sleepers;    /* workers that wait for `wake`, or are about to */
    atomic_int wanted;       /* threads per call, 0 until known */
    atomic_int core;         /* where the caller was when it last opened a job */
    atomic_llong wake_after; /* nobody is woken before, in nanoseconds */
    pthread_mutex_t lock;    /* protects the sleep, nothing else */
    pthread_cond_t wake;

    /* The job: written by the owner while nobody is inside. */
    tg_task task;
    void *context;
    size_t piece;
    unsigned threads;
    struct range range[MAX_THREADS];

    unsigned jobs;           /* so far; the owner's */
    int64_t alone_until;     /* when it last ended a job it had not shared; the owner's */
    unsigned workers;        /* started so far; the owner's */
} pool = {
    .busy = ATOMIC_FLAG_INIT,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .wake = PTHREAD_COND_INITIALIZER,
};

/* Set while this thread runs a task: a loop inside it is run serially. */
static TG_THREAD_LOCAL int inside;

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int cores(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return CPU_COUNT(&set);
    }
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

void tg_set_num_threads(int n)
{
    n = n < 1 ? cores() : n;
    atomic_store(&pool.wanted, n < MAX_THREADS ? n : MAX_THREADS);
}

int tg_get_num_threads(void)
{
    if (atomic_load(&pool.wanted) == 0) {
        tg_set_num_threads(0);
    }
    return atomic_load(&pool.wanted);
}

/* Take pieces until none is left, the own ones first, then close the job: who joins now would find
 * nothing to do. */
static void take_part(unsigned me)
{
    inside = 1;
    for (unsigned i = 0; i < pool.threads; i++) {
        struct range *range = &pool.range[(me + i) % pool.threads];
        for (;;) {
            size_t begin =
                atomic_fetch_add_explicit(&range->next, pool.piece, memory_order_relaxed);
            if (begin >= range->end) {
                break;
            }
            pool.task(pool.context, begin, tg_min(begin + pool.piece, range->end));
        }
    }
    atomic_fetch_and(&pool.state, ~OPEN);
    inside = 0;
}

/* The core this thread runs on; `unknown` where the system does not say. */
static int own_core(int unknown)
{
#ifdef __linux__
    (void)unknown;
    return sched_getcpu();
#else
    return unknown;
#endif
}

static int is_beside_caller(void)
{
    return own_core(-2) == atomic_load_explicit(&pool.core, memory_order_relaxed);
}

/* Move to another core, if there is one this thread may use. The system puts a worker on its
 * caller's core when all are busy, and leaves it there for milliseconds. */
static void leave_core(int core)
{
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        cpu_set_t others = allowed;
        CPU_CLR(core, &others);
        if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0) {
            sched_setaffinity(0, sizeof allowed, &allowed);
        }
    }
#endif
    (void)core;
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Enter the job if there is one. */
static int join(void)
{
    unsigned state = atomic_load(&pool.state);
    while (state & OPEN) {
        if (is_beside_caller()) {
            return 0;
        }
        if (atomic_compare_exchange_weak(&pool.state, &state, state + 1)) {
            return 1;
        }
    }
    return 0;
}

/* Spin until a job is joined, which is 1, or until it is time to sleep. */
static int spin(void)
{
    int64_t start = nanoseconds();
    while (!is_beside_caller() && nanoseconds() - start < SPIN_NANOSECONDS) {
        for (int i = 0; i < SPINS_A_CHECK; i++) {
            if (join()) {
                return 1;
            }
            relax();
        }
    }
    return 0;
}

/* A worker that cannot leave the caller's core sleeps through the job that is open, if one is. */
static void sleep_until_open(void)
{
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.sleepers, 1);
    unsigned state = atomic_load(&pool.state);
    unsigned refused = 0;
    if (is_beside_caller()) {
        refused = state & ~INSIDE;
    }
    while (!(state & OPEN) || (state & ~INSIDE) == refused) {
        pthread_cond_wait(&pool.wake, &pool.lock);
        state = atomic_load(&pool.state);
    }
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.lock);
}

static void *work(void *number)
{
    unsigned me = (unsigned)(uintptr_t)number;
    for (;;) {
        if (is_beside_caller()) {
            atomic_store_explicit(&pool.wake_after, nanoseconds() + REST_NANOSECONDS,
                                  memory_order_relaxed);
            leave_core(own_core(-1));
        }
        if (!spin()) {
            sleep_until_open();
            continue;
        }
        if (me < pool.threads) {
            take_part(me);
        }
        atomic_fetch_sub(&pool.state, 1);
    }
    return NULL;
}

static void before_fork(void)
{
    pthread_mutex_lock(&pool.lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&pool.lock);
}

/* The child has this thread only: no worker, no owner, nobody asleep. */
static void after_fork_in_child(void)
{
    pthread_mutex_unlock(&pool.lock);
    pthread_cond_init(&pool.wake, NULL);
    atomic_store(&pool.state, 0);
    atomic_store(&pool.sleepers, 0);
    pool.workers = 0;
    if (!inside) {
        atomic_flag_clear(&pool.busy);
    }
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* Start workers until there are `wanted`, or as many as the system grants. The caller is number 0,
 * they are 1, 2, ... */
static void start_workers(unsigned wanted)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    while (pool.workers < wanted) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)(uintptr_t)(pool.workers + 1)) != 0) {
            return;
        }
        pthread_detach(thread);
        pool.workers++;
    }
}

/* Write the job: the grains dealt out evenly, the ranges one after the other. */
static void deal(size_t count, size_t grain, tg_task task, void *context, unsigned threads)
{
    size_t grains = (count - 1) / grain + 1;
    size_t begin = 0;
    pool.task = task;
    pool.context = context;
    pool.threads = threads;
    pool.piece = ((grains / threads) / PIECES_PER_RANGE + 1) * grain;
    for (unsigned i = 0; i < threads; i++) {
        size_t share = grains / threads + (i < grains % threads);
        atomic_store_explicit(&pool.range[i].next, begin, memory_order_relaxed);
        begin = i + 1 == threads ? count : tg_min(count, begin + share * grain);
        pool.range[i].end = begin;
    }
}

static void wake_workers(void)
{
    pthread_mutex_lock(&pool.lock);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
}

/* Whether a job of so many grains should wake those who sleep: when it is large, or follows so
 * closely on another that the next will find them awake. */
static int is_worth_waking(size_t grains)
{
    int64_t time = nanoseconds();
    int follows = time - pool.alone_until < SPIN_NANOSECONDS;
    return time >= atomic_load_explicit(&pool.wake_after, memory_order_relaxed) &&
           (follows || grains >= GRAINS_WORTH_WAKING);
}

/* The loop on the pool, which the caller owns. */
static void share(size_t count, size_t grain, tg_task task, void *context, unsigned threads)
{
    unsigned asleep = atomic_load(&pool.sleepers);
    int missing = asleep > 0 || pool.workers < threads - 1;
    int wakes = missing && is_worth_waking((count - 1) / grain + 1);
    if (!wakes && asleep >= pool.workers) {
        task(context, 0, count);
        pool.alone_until = nanoseconds();
        return;
    }
    atomic_store_explicit(&pool.core, own_core(-1), memory_order_relaxed);
    if (wakes) {
        start_workers(threads - 1);
    }
    deal(count, grain, task, context, threads);
    atomic_store(&pool.state, OPEN | (++pool.jobs * ONE_JOB));
    if (wakes && atomic_load(&pool.sleepers) > 0) {
        wake_workers();
    }
    take_part(0);
    for (int spins = 0; atomic_load(&pool.state) & INSIDE; spins++) {
        if (spins < SPINS_BEFORE_YIELD) {
            relax();
        } else {
            sched_yield();
        }
    }
}

void tg_parallel_for(size_t count, size_t grain, tg_task task, void *context)
{
    if (count == 0) {
        return;
    }
    int threads = count > grain && !inside ? tg_get_num_threads() : 1;
    if (threads == 1 || atomic_flag_test_and_set(&pool.busy)) {
        task(context, 0, count);
        return;
    }
    share(count, grain, task, context, (unsigned)threads);
    atomic_flag_clear(&pool.busy);
}

#endif
