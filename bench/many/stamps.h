// The file in the rootfs into which the guest `stamp` writes, as /stamps inside a container.

#pragma once

#include <string>

#include "stamp.h"
#include "workspace.h"

namespace sigil::bench {

class Stamps {
  public:
    // Makes the file anew, all zero, for so many containers.
    Stamps(const Workspace& workspace, long count);
    ~Stamps();
    Stamps(const Stamps&) = delete;
    Stamps& operator=(const Stamps&) = delete;

    volatile Stamp& at(long index) { return stamps_[index]; }
    static constexpr char kPath[] = "/stamps";

  private:
    Stamp* stamps_ = nullptr;
    size_t size_ = 0;
};

}  // namespace sigil::bench
