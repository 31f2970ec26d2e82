/* What the driver says about blocks in use, addresses inside them, and blocks that are freed; but
 * for what concerns sharing. Addresses are told by what they are, ids by how they compare. */
#include "drv.h"

static const struct {
    const char *name;
    int attribute;
    size_t bytes;
} attributes[] = {
    {"context", CU_POINTER_ATTRIBUTE_CONTEXT, 8},
    {"memory type", CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 4},
    {"device pointer", CU_POINTER_ATTRIBUTE_DEVICE_POINTER, 8},
    {"host pointer", CU_POINTER_ATTRIBUTE_HOST_POINTER, 8},
    {"buffer id", CU_POINTER_ATTRIBUTE_BUFFER_ID, 8},
    {"managed", CU_POINTER_ATTRIBUTE_IS_MANAGED, 1},
    {"device", CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, 4},
    {"range start", CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, 8},
    {"range size", CU_POINTER_ATTRIBUTE_RANGE_SIZE, 8},
    {"mapped", CU_POINTER_ATTRIBUTE_MAPPED, 1},
};

enum { COUNT = sizeof attributes / sizeof attributes[0] };

static CUcontext context;

static unsigned long long id_of(CUdeviceptr p)
{
    unsigned long long id = 0;
    OK(cuPointerGetAttribute(&id, CU_POINTER_ATTRIBUTE_BUFFER_ID, p));
    return id;
}

/* A value without addresses in it. `p` is in the block at `start`, whose id is `id`. */
static void tell(int which, unsigned long long value, CUdeviceptr p, CUdeviceptr start,
                 unsigned long long id)
{
    /* Attributes of fewer bytes leave the rest as it was: 0xcc. */
    if (attributes[which].bytes < 8)
        value &= (1ull << 8 * attributes[which].bytes) - 1;
    printf(", %s ", attributes[which].name);
    if (value == (unsigned long long)(uintptr_t)context)
        printf("its own");
    else if (value == p && value == start)
        printf("the start");
    else if (value == p)
        printf("the address");
    else if (value == start)
        printf("the start");
    else if (attributes[which].attribute == CU_POINTER_ATTRIBUTE_BUFFER_ID && value != 0)
        printf("%s", value == id ? "the block's" : "another");
    else
        printf("%#llx", value);
}

/* All attributes of an address, one by one and together. */
static void show(const char *what, CUdeviceptr p, CUdeviceptr start, unsigned long long id)
{
    unsigned long long values[COUNT];
    CUpointer_attribute wanted[COUNT];
    void *places[COUNT];
    CUdeviceptr base = 0;
    size_t size = 0;

    printf("%s, one by one", what);
    for (int i = 0; i < COUNT; i++) {
        unsigned long long value = 0;
        int result = cuPointerGetAttribute(&value, attributes[i].attribute, p);
        if (result == 0)
            tell(i, value, p, start, id);
        else
            printf(", %s = %d", attributes[i].name, result);
        values[i] = 0xcccccccccccccccc;
        wanted[i] = attributes[i].attribute;
        places[i] = &values[i];
    }
    printf("\n%s, together = %d", what, (int)cuPointerGetAttributes(COUNT, wanted, places, p));
    for (int i = 0; i < COUNT; i++)
        tell(i, values[i], p, start, id);
    int result = cuMemGetAddressRange(&base, &size, p);
    printf("\n%s, range = %d", what, result);
    if (result == 0)
        printf(", %s, %zu bytes", base == start ? "the start" : "another", size);
    CUmemGenericAllocationHandle handle;
    printf(", handle = %d\n", (int)cuMemRetainAllocationHandle(&handle, (void *)(uintptr_t)p));
}

int main(void)
{
    static const size_t sizes[] = {1000, 300 * KIB, 5 * MIB + 1000, 64 * MIB};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    CUdeviceptr blocks[SIZES];
    unsigned long long ids[SIZES];
    char what[64];

    context = drv_context();
    for (int i = 0; i < SIZES; i++) {
        OK(cuMemAlloc(&blocks[i], sizes[i]));
        ids[i] = id_of(blocks[i]);
        for (int j = 0; j < i; j++)
            EXPECT(ids[i] != ids[j]);
    }
    for (int i = 0; i < SIZES; i++) {
        const size_t offsets[] = {0, 1, sizes[i] / 2 + 1, sizes[i] - 1};
        for (int j = 0; j < 4; j++) {
            snprintf(what, sizeof what, "%zu of %zu", offsets[j], sizes[i]);
            show(what, blocks[i] + offsets[j], blocks[i], ids[i]);
        }
    }
    for (int i = 0; i < SIZES; i++) {
        CUdeviceptr old = blocks[i];
        OK(cuMemFree(old));
        snprintf(what, sizeof what, "freed %zu", sizes[i]);
        show(what, old, old, ids[i]);
        snprintf(what, sizeof what, "inside freed %zu", sizes[i]);
        show(what, old + sizes[i] / 2, old, ids[i]);
        OK(cuMemAlloc(&blocks[i], sizes[i]));
        printf("then %zu: id %s\n", sizes[i], id_of(blocks[i]) == ids[i] ? "as before" : "new");
    }
    for (int i = 0; i < SIZES; i++)
        OK(cuMemFree(blocks[i]));
    return 0;
}
