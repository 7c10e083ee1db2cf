/* dispatch.c: which instruction set runs, chosen on the first call.
 *
 * __builtin_cpu_supports asks the processor and whether the operating system saves the registers;
 * both are needed. The choice is one pointer, read by every call. */
#include <stdatomic.h>

#include "internal.h"

static const struct tg_kernels *_Atomic current;
static atomic_int refused; /* TINYGRAD_EDU_ISA names a set that cannot be had */

/* From the best to the plainest. */
static const struct tg_kernels *const tables[] = {
#if TG_HAVE_X86
    &tg_kernels_avx512,
    &tg_kernels_avx2,
#endif
#if TG_HAVE_NEON
    &tg_kernels_neon,
#endif
    &tg_kernels_baseline,
};

static int runs_here(const struct tg_kernels *table)
{
#if TG_HAVE_X86
    if (table == &tg_kernels_avx512) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
            && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    }
    if (table == &tg_kernels_avx2) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    }
#endif
    return table != NULL;
}

/* The table of that name, or the best one for NULL; NULL when it cannot run here. */
static const struct tg_kernels *find(const char *name)
{
#if TG_HAVE_X86
    __builtin_cpu_init();
#endif
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if ((name == NULL || strcmp(name, tables[i]->name) == 0) && runs_here(tables[i])) {
            return tables[i];
        }
    }
    return NULL;
}

/* Two threads may both come here first: they find the same, and a choice made meanwhile stands. */
static const struct tg_kernels *choose(void)
{
    const char *name = getenv("TINYGRAD_EDU_ISA");
    const struct tg_kernels *table = find(name != NULL && *name != '\0' ? name : NULL);
    if (table == NULL) {
        atomic_store(&refused, 1);
        table = &tg_kernels_baseline;
    }
    const struct tg_kernels *unset = NULL;
    atomic_compare_exchange_strong(&current, &unset, table);
    return atomic_load(&current);
}

const struct tg_kernels *tg_current_kernels(void)
{
    const struct tg_kernels *table = atomic_load_explicit(&current, memory_order_acquire);
    return table != NULL ? table : choose();
}

const char *tg_isa(void)
{
    const struct tg_kernels *table = tg_current_kernels();
    return atomic_load(&refused) ? NULL : table->name;
}

int tg_isa_available(const char *name)
{
    return name != NULL && find(name) != NULL;
}

int tg_use_isa(const char *name)
{
    const struct tg_kernels *table = name == NULL ? NULL : find(name);
    if (table == NULL) {
        return -1;
    }
    atomic_store(&refused, 0);
    atomic_store(&current, table);
    return 0;
}
