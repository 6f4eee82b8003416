// The terminal that sigil was started from: the container shares it, as a foreground job does.
#pragma once

namespace sigil::cli {

class Terminal {
  public:
    // Looks at stdin. Shared when it is our controlling terminal and we are in its foreground.
    static Terminal inspect();
    [[nodiscard]] bool is_shared() const { return is_shared_; }
    // A shell in the container may have given the foreground to a group that is gone now.
    void take_back() const;

  private:
    bool is_shared_ = false;
    int group_ = -1;
};

}  // namespace sigil::cli
