// The program that CMake links with start.cc, to find out whether this C library suits it.
#include <string.h>

int main(int count, char** words) {
    char copy[64] = {};
    ::strncpy(copy, words[0], sizeof copy - 1);  // wants an IFUNC and what start.cc defines for it
    return count == 0 ? static_cast<int>(::strlen(copy)) : 0;
}
