// A disk with little room.
#pragma once

#include <sys/mount.h>

#include <string>

#include <gtest/gtest.h>

#include "rootfs.h"

namespace sigil::e2e {

// A tmpfs of our own, full in one way or the other.
class FullDisk {
  public:
    explicit FullDisk(const char* options) : path_(make_directory_outside()) {
        const std::string all = std::string(options) + ",mode=755";
        EXPECT_EQ(::mount("tmpfs", path_.c_str(), "tmpfs", 0, all.c_str()), 0);
    }
    ~FullDisk() { ::umount2(path_.c_str(), MNT_DETACH); }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    void resize(const std::string& size) const {
        EXPECT_EQ(::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT, ("size=" + size).c_str()),
                  0);
    }

  private:
    std::string path_;
};

}  // namespace sigil::e2e
