// sigil-bench-peak COMMAND [ARG...]: runs it, and prints its process's peak memory in KB, its
// children apart. A program of its own, as the kernel's high-water mark of a process (getrusage(2))
// counts what it was before its execve: nearly nothing here.

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int, char** argv) {
    const pid_t pid = ::vfork();
    if (pid == 0) {
        ::execvp(argv[1], argv + 1);
        ::_exit(127);
    }
    rusage usage = {};
    int word = 0;
    if (pid < 0 || ::wait4(pid, &word, 0, &usage) != pid || word != 0)
        return 1;
    ::printf("%ld\n", usage.ru_maxrss);
    return 0;
}
