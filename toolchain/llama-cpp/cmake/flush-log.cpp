// llama.cpp prints from a thread that nobody waits for at the end of a program (common/log.cpp says why): on a busy
// machine a short run loses its last lines, which are its results. This waits for it.
// Linked with -Wl,--wrap=main, so that the C runtime calls __wrap_main in place of main.
#include "log.h"

extern "C" int __real_main(int argc, char ** argv);

extern "C" int __wrap_main(int argc, char ** argv) {
    const int status = __real_main(argc, argv);
    common_log_flush(common_log_main());
    return status;
}
