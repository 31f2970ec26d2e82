/* Has every loaded object call its own function instead of the driver's, by writing over what the
 * dynamic linker has put into their relocations, as UCX does to hear of allocations. The real function
 * it takes from the driver. What is looked up is not bound by a relocation, and passes by. */
#include "drv.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>

#ifdef __aarch64__
enum { ADDRESS = 257, VARIABLE = 1025, CALL = 1026 };
#else
enum { ADDRESS = 1, VARIABLE = 6, CALL = 7 };
#endif

static int allocations;

static CUresult heard(CUdeviceptr *pointer, size_t bytes)
{
    static CUresult (*real)(CUdeviceptr *, size_t);
    if (real == NULL)
        real = (CUresult(*)(CUdeviceptr *, size_t))dlsym(dlopen("libcuda.so.1", RTLD_NOW),
                                                         "cuMemAlloc_v2");
    EXPECT(real != NULL);
    allocations++;
    return real(pointer, bytes);
}

static void write_over(void **place)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *start = (char *)((uintptr_t)place & ~(page - 1));
    OK(mprotect(start, page, PROT_READ | PROT_WRITE));
    *place = (void *)heard;
}

/* Writes over those of `count` relocations that name the function. */
static void rewrite(ElfW(Addr) base, const ElfW(Rela) *relocations, size_t count,
                    const ElfW(Sym) *symbols, const char *strings)
{
    for (size_t i = 0; i < count; i++) {
        unsigned type = ELF64_R_TYPE(relocations[i].r_info);
        const ElfW(Sym) *symbol = &symbols[ELF64_R_SYM(relocations[i].r_info)];
        if ((type == ADDRESS || type == VARIABLE || type == CALL)
            && strcmp(strings + symbol->st_name, "cuMemAlloc_v2") == 0)
            write_over((void **)(base + relocations[i].r_offset));
    }
}

static int visit(struct dl_phdr_info *object, size_t size, void *unused)
{
    const ElfW(Dyn) *dynamic = NULL;
    ElfW(Addr) table[DT_NUM] = {0};
    (void)size;
    (void)unused;
    for (int i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
    for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++)
        if (dynamic->d_tag > 0 && dynamic->d_tag < DT_NUM)
            table[dynamic->d_tag] = dynamic->d_un.d_ptr;
    const ElfW(Sym) *symbols = (const ElfW(Sym) *)table[DT_SYMTAB];
    const char *strings = (const char *)table[DT_STRTAB];
    /* The kernel's own object is not relocated. */
    if (strings == NULL || (ElfW(Addr))strings < object->dlpi_addr)
        return 0;
    rewrite(object->dlpi_addr, (const ElfW(Rela) *)table[DT_RELA],
            table[DT_RELASZ] / sizeof(ElfW(Rela)), symbols, strings);
    rewrite(object->dlpi_addr, (const ElfW(Rela) *)table[DT_JMPREL],
            table[DT_PLTRELSZ] / sizeof(ElfW(Rela)), symbols, strings);
    return 0;
}

int main(void)
{
    CUcontext context = drv_context();
    CUdeviceptr p;
    CUresult (*allocate)(CUdeviceptr *, size_t);
    dl_iterate_phdr(visit, NULL);
    for (int round = 0; round < 5; round++) {
        OK(cuMemAlloc(&p, MIB));
        OK(cuMemFree(p));
    }
    printf("linked: %d\n", allocations);
    allocate = (CUresult(*)(CUdeviceptr *, size_t))dlsym(dlopen("libcuda.so.1", RTLD_NOW),
                                                         "cuMemAlloc_v2");
    for (int round = 0; round < 5; round++) {
        OK(allocate(&p, MIB));
        OK(cuMemFree(p));
    }
    printf("looked up: %d\n", allocations);
    OK(cuCtxDestroy(context));
    return 0;
}
