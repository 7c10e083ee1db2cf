/* threads.c: a pool of threads that share a loop, and each thread's scratch buffer.
 *
 * One job at a time: who finds the pool busy runs its loop alone, which is right when several
 * Python threads train several models. A job is a counter of pieces: whoever takes part takes the
 * next piece until none is left, so a late or a slow worker costs nothing but its help. In
 * particular the caller does not wait for workers that never woke up.
 *
 *      state:  | OPEN | how many workers are inside the job |
 *
 * A worker joins by adding one to an open state, and reads the job only then; the caller writes
 * the next job only when the state is 0. These two rules are all the synchronisation of the job's
 * fields. Workers spin a little before they sleep, since kernels follow each other closely. They
 * are started by the first loop that is worth it, and never end: a fork leaves the child with an
 * empty pool. */
#define _GNU_SOURCE
#include "internal.h"

#ifdef _WIN32

#include <windows.h>

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
#include <unistd.h>

#define OPEN 0x80000000u
#define MAX_THREADS 256
#define PIECES_PER_THREAD 4
#define SPINS_BEFORE_SLEEP 4000

static struct {
    atomic_flag busy;        /* a caller owns the pool */
    atomic_uint state;       /* OPEN, and the number of workers inside */
    atomic_uint sleepers;    /* workers that wait for `wake`, or are about to */
    atomic_int wanted;       /* threads per call, 0 until known */
    pthread_mutex_t lock;    /* protects the sleep, nothing else */
    pthread_cond_t wake;

    /* The job: written by the owner while state is 0. */
    tg_task task;
    void *context;
    size_t count;
    size_t piece;
    unsigned most_workers;
    atomic_size_t next;      /* where the next piece begins */

    int workers;             /* started so far; the owner's */
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

/* Take pieces until none is left, then close the job: who joins now would find nothing to do. */
static void take_part(void)
{
    inside = 1;
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&pool.next, pool.piece, memory_order_relaxed);
        if (begin >= pool.count) {
            break;
        }
        pool.task(pool.context, begin, tg_min(begin + pool.piece, pool.count));
    }
    atomic_fetch_and(&pool.state, ~OPEN);
    inside = 0;
}

/* Enter the job if there is one with a place left. */
static int join(void)
{
    unsigned state = atomic_load(&pool.state);
    while (state & OPEN) {
        if (atomic_compare_exchange_weak(&pool.state, &state, state + 1)) {
            return 1;
        }
    }
    return 0;
}

static void sleep_until_open(void)
{
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.sleepers, 1);
    while (!(atomic_load(&pool.state) & OPEN)) {
        pthread_cond_wait(&pool.wake, &pool.lock);
    }
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.lock);
}

static void *work(void *number)
{
    for (int spins = 0;; spins++) {
        if (join()) {
            if ((uintptr_t)number < pool.most_workers) {
                take_part();
            }
            atomic_fetch_sub(&pool.state, 1);
            spins = 0;
        } else if (spins < SPINS_BEFORE_SLEEP) {
            relax();
        } else {
            sleep_until_open();
            spins = 0;
        }
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

/* Start workers until there are `wanted`, or as many as the system grants. */
static void start_workers(int wanted)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    while (pool.workers < wanted) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)(uintptr_t)pool.workers) != 0) {
            return;
        }
        pthread_detach(thread);
        pool.workers++;
    }
}

/* The job on the pool. The caller owns the pool. */
static void share(size_t count, size_t piece, tg_task task, void *context, int threads)
{
    start_workers(threads - 1);
    pool.task = task;
    pool.context = context;
    pool.count = count;
    pool.piece = piece;
    pool.most_workers = (unsigned)threads - 1;
    atomic_store(&pool.next, 0);
    atomic_store(&pool.state, OPEN);
    if (atomic_load(&pool.sleepers) > 0) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_broadcast(&pool.wake);
        pthread_mutex_unlock(&pool.lock);
    }
    take_part();
    for (int spins = 0; atomic_load(&pool.state) != 0; spins++) {
        if (spins < SPINS_BEFORE_SLEEP) {
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
    size_t pieces = (size_t)threads * PIECES_PER_THREAD;
    size_t grains = (count - 1) / grain / pieces + 1;
    share(count, grains * grain, task, context, threads);
    atomic_flag_clear(&pool.busy);
}

#endif

/* ---- Scratch --------------------------------------------------------------------------------- */

struct scratch {
    void *block;   /* what malloc gave */
    size_t bytes;  /* what may be used of it, from the first multiple of 64 on */
};

#ifdef _WIN32

static DWORD scratch_key = FLS_OUT_OF_INDEXES;

static void WINAPI free_scratch(void *value)
{
    struct scratch *scratch = value;
    for (size_t level = 0; scratch != NULL && level < TG_LEVELS; level++) {
        free(scratch[level].block);
    }
    free(scratch);
}

static BOOL CALLBACK make_key(PINIT_ONCE once, void *parameter, void **context)
{
    (void)once;
    (void)parameter;
    (void)context;
    scratch_key = FlsAlloc(free_scratch);
    return TRUE;
}

/* This thread's buffers, one a level. */
static struct scratch *own_scratch(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    InitOnceExecuteOnce(&once, make_key, NULL, NULL);
    struct scratch *scratch = FlsGetValue(scratch_key);
    if (scratch == NULL) {
        scratch = calloc(TG_LEVELS, sizeof *scratch);
        FlsSetValue(scratch_key, scratch);
    }
    return scratch;
}

#else

static pthread_key_t scratch_key;

static void free_scratch(void *value)
{
    struct scratch *scratch = value;
    for (size_t level = 0; level < TG_LEVELS; level++) {
        free(scratch[level].block);
    }
    free(scratch);
}

static void make_key(void)
{
    pthread_key_create(&scratch_key, free_scratch);
}

static struct scratch *own_scratch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    struct scratch *scratch = pthread_getspecific(scratch_key);
    if (scratch == NULL) {
        scratch = calloc(TG_LEVELS, sizeof *scratch);
        pthread_setspecific(scratch_key, scratch);
    }
    return scratch;
}

#endif

void *tg_scratch_of(enum tg_level level, size_t bytes)
{
    struct scratch *scratch = own_scratch();
    if (scratch == NULL) {
        return NULL;
    }
    scratch += level;
    if (scratch->bytes < bytes || scratch->block == NULL) {
        size_t grown = tg_max(bytes, scratch->bytes * 2);
        free(scratch->block);
        scratch->block = bytes <= SIZE_MAX - 64 ? malloc(grown + 64) : NULL;
        scratch->bytes = scratch->block == NULL ? 0 : grown;
    }
    if (scratch->block == NULL) {
        return NULL;
    }
    return (void *)(((uintptr_t)scratch->block + 63) & ~(uintptr_t)63);
}
