/* dst[i][c] = src[rows[first + i]][c], or src[first + i][c] where rows are not listed. src lies in row tiles (rows.clh), dst
 * too with TILED_DST, else row-major. Global range: (width, count). */
#ifdef TILED_DST
#define PLACE(i, c) ROW_AT(i, c, width)
#else
#define PLACE(i, c) ROW_MAJOR(i, c, width)
#endif

__kernel void gather_rows__ref(__global const float *src, __global const int *rows, const int listed,
                               __global float *dst, const int width, const int first, const int count)
{
    const int c = (int)get_global_id(0);
    const int i = (int)get_global_id(1);
    if (c >= width || i >= count)
        return;
    const int row = listed != 0 ? rows[first + i] : first + i;
    dst[PLACE(i, c)] = src[ROW_AT(row, c, width)];
}
