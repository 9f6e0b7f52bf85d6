/* A picture lies as [height][width][channels], without a border; a vector is a picture of one pixel. */
typedef struct {
    int h, w, c;
} size;
