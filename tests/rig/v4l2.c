/* A camera of 64 x 48 for programs that use V4L2. Preloaded, it answers ioctl() on a plain file, which stands
   for the device node, as a driver would. FAKE_CAMERA names a file whose first letter says how the camera does:
   o(k), b(usy with another program), g(arbage instead of motion JPEG), u(nplugged). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 64, HEIGHT = 48, SIZE = WIDTH * HEIGHT * 2, SLOT = 8192, PERIOD_US = 20000 };

static unsigned taken, buffers = 1; /* pictures so far; they go into the buffers in turn */

static char state(void) {
    const char *path = getenv("FAKE_CAMERA");
    char letter = 'u';
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0 || read(file, &letter, 1) != 1) letter = 'u';
    if (file >= 0) close(file);
    return letter;
}

static int fails(int number) { errno = number; return -1; }

static void describe(struct v4l2_format *format, char now) {
    struct v4l2_pix_format *pix = &format->fmt.pix;
    pix->width = WIDTH, pix->height = HEIGHT, pix->field = V4L2_FIELD_NONE;
    pix->pixelformat = now == 'g' ? V4L2_PIX_FMT_MJPEG : V4L2_PIX_FMT_YUYV;
    pix->bytesperline = now == 'g' ? 0 : 2 * WIDTH, pix->sizeimage = SIZE, pix->colorspace = V4L2_COLORSPACE_SRGB;
}

static int next(int device, struct v4l2_buffer *buffer, char now) {
    unsigned char data[SIZE];
    usleep(PERIOD_US);
    if (now == 'u') return fails(ENODEV);
    buffer->index = taken % buffers, buffer->bytesused = SIZE, buffer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_DONE;
    buffer->length = SIZE, buffer->m.offset = buffer->index * SLOT, buffer->sequence = taken;
    for (int at = 0; at < SIZE; at++) data[at] = now == 'g' ? (unsigned)rand() : at % 2 ? 128 : 40 + taken % 150;
    taken++;
    return pwrite(device, data, SIZE, buffer->m.offset) == SIZE ? 0 : fails(EIO);
}

int ioctl(int device, unsigned long request, ...) {
    static int (*real)(int, unsigned long, ...);
    va_list rest;
    va_start(rest, request);
    void *value = va_arg(rest, void *);
    va_end(rest);
    if (!real) real = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    request &= 0xffffffff; /* callers that kept it in an int extend its sign */
    if (_IOC_TYPE(request) != 'V') return real(device, request, value);
    char now = state();
    if (now == 'u' && request != VIDIOC_DQBUF) return fails(ENODEV);
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *able = value;
        memset(able, 0, sizeof *able);
        strcpy((char *)able->driver, "fake"), strcpy((char *)able->card, "fake camera");
        able->capabilities = able->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    }
    case VIDIOC_ENUMINPUT: return ((struct v4l2_input *)value)->index ? fails(EINVAL) : 0;
    case VIDIOC_G_INPUT: *(int *)value = 0; return 0;
    case VIDIOC_S_INPUT: return 0;
    case VIDIOC_G_FMT: describe(value, now); return 0;
    case VIDIOC_TRY_FMT: describe(value, now); return 0;
    case VIDIOC_S_FMT: /* as uvcvideo, while another program has buffers */
        if (now == 'b') return fails(EBUSY);
        describe(value, now);
        return 0;
    case VIDIOC_REQBUFS:
        if (now == 'b') return fails(EBUSY);
        taken = 0, buffers = ((struct v4l2_requestbuffers *)value)->count;
        return buffers ? ftruncate(device, buffers * SLOT) : (buffers = 1, 0);
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = value;
        buffer->length = SIZE, buffer->m.offset = buffer->index * SLOT;
        return buffer->index < buffers ? 0 : fails(EINVAL);
    }
    case VIDIOC_QBUF: case VIDIOC_STREAMON: case VIDIOC_STREAMOFF: return 0;
    case VIDIOC_DQBUF: return next(device, value, now);
    }
    return fails(EINVAL);
}
