#include "many/plot.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "failure.h"

namespace sigil::bench {

namespace {

constexpr double kWidth = 860;
constexpr double kHeight = 400;
constexpr double kPanelWidth = 340;
constexpr double kPanelHeight = 250;
constexpr double kPanelTop = 70;
constexpr double kPanelLefts[] = {65, 490};
constexpr double kLegendTop = 375;

struct Panel {
    const char* title;
    const char* figure;
    double scale;  // of the figure, to the axis's unit
    double left;
};

struct Range {
    double least = INFINITY;
    double most = 0;

    void take(double value) {
        if (std::isnan(value) || value <= 0)
            return;
        least = std::min(least, value);
        most = std::max(most, value);
    }
    // To the powers of ten around it.
    void widen() {
        if (most == 0)
            least = most = 1;
        least = std::pow(10, std::floor(std::log10(least)));
        most = std::pow(10, std::ceil(std::log10(most) - 1e-9));
        if (most <= least)
            most = least * 10;
    }
    double place(double value) const { return std::log(value / least) / std::log(most / least); }
};

// The colours stand out from white and from black alike: whoever shows the file inside a page need
// not tell it which of the two the page has.
constexpr char kStyle[] =
    "  <style>\n"
    "    text { font: 12px system-ui, sans-serif; fill: #7a7a7a }\n"
    "    .title { font-size: 14px; font-weight: 600 }\n"
    "    .grid { stroke: #8884; stroke-width: 1 }\n"
    "    .axis { stroke: #888; stroke-width: 1 }\n"
    "    .line { fill: none; stroke-width: 2; stroke-linejoin: round }\n"
    "    .floor { stroke: #888; fill: #888 } .sigil { stroke: #d1495b; fill: #d1495b }\n"
    "    .sigil-no-init { stroke: #e08e45; fill: #e08e45 }\n"
    "    .bwrap { stroke: #2a9d8f; fill: #2a9d8f } .crun { stroke: #4a7fd4; fill: #4a7fd4 }\n"
    "    .line.floor, .line.sigil, .line.sigil-no-init, .line.bwrap, .line.crun { fill: none }\n"
    "    .line.floor { stroke-dasharray: 5 4 }\n"
    "  </style>\n";

// 0.1, 1, 10, 10k, 1M.
std::string short_number(double value) {
    if (value >= 1e6)
        return fmt::format("{:g}M", value / 1e6);
    if (value >= 1e4)
        return fmt::format("{:g}k", value / 1e3);
    return fmt::format("{:g}", value);
}

class Drawing {
  public:
    Drawing(const std::vector<Ladder>& ladders) : ladders_(ladders) {
        for (const Ladder& ladder : ladders) {
            for (const Rung& rung : ladder.rungs)
                x_.take(rung.live);
        }
        x_.widen();
    }

    std::string draw() {
        add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{}\" "
            "height=\"{}\" role=\"img\">\n",
            kWidth, kHeight, kWidth, kHeight);
        add("  <title>Start latency and memory by the number of live containers</title>\n");
        text_ += kStyle;
        draw_panel({"Start to the first instruction, ms", "first_p50", 1e-3, kPanelLefts[0]});
        draw_panel({"Memory around a container, KB", "each_kb", 1, kPanelLefts[1]});
        draw_legend();
        add("</svg>\n");
        return text_;
    }

  private:
    template <typename... Arguments>
    void add(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
        text_ += fmt::format(format, std::forward<Arguments>(arguments)...);
    }

    void label(double x, double y, const char* anchor, const std::string& text,
               const char* style = "") {
        add("  <text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n", x, y,
            anchor, style, text);
    }

    void rule(double x1, double y1, double x2, double y2, const char* style) {
        add("  <line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1,
            y1, x2, y2, style);
    }

    void draw_panel(const Panel& panel) {
        Range y;
        for (const Ladder& ladder : ladders_) {
            for (const Rung& rung : ladder.rungs)
                y.take(rung.figure(panel.figure) * panel.scale);
        }
        y.widen();
        const double bottom = kPanelTop + kPanelHeight;
        const double right = panel.left + kPanelWidth;
        label(panel.left, kPanelTop - 18, "start", panel.title, "title");
        for (double value = y.least; value < y.most * 1.01; value *= 10) {
            const double at = bottom - y.place(value) * kPanelHeight;
            rule(panel.left, at, right, at, value == y.least ? "axis" : "grid");
            label(panel.left - 7, at + 4, "end", short_number(value));
        }
        for (double value = x_.least; value < x_.most * 1.01; value *= 10) {
            const double at = panel.left + x_.place(value) * kPanelWidth;
            rule(at, kPanelTop, at, bottom, value == x_.least ? "axis" : "grid");
            label(at, bottom + 17, "middle", short_number(value));
        }
        label(panel.left + kPanelWidth / 2, bottom + 34, "middle", "live containers");
        for (const Ladder& ladder : ladders_)
            draw_line(panel, ladder, y);
    }

    void draw_line(const Panel& panel, const Ladder& ladder, const Range& y) {
        std::string points, dots;
        for (const Rung& rung : ladder.rungs) {
            const double value = rung.figure(panel.figure) * panel.scale;
            if (std::isnan(value) || value <= 0)
                continue;
            const double across = panel.left + x_.place(rung.live) * kPanelWidth;
            const double up = kPanelTop + (1 - y.place(value)) * kPanelHeight;
            points += fmt::format("{:.1f},{:.1f} ", across, up);
            dots += fmt::format(
                "  <circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" class=\"{}\"><title>{}, {} live: "
                "{:.3g}</title></circle>\n",
                across, up, ladder.name, ladder.name, rung.live, value);
        }
        add("  <polyline points=\"{}\" class=\"line {}\"/>\n", points, ladder.name);
        text_ += dots;
    }

    void draw_legend() {
        double x = kPanelLefts[0];
        for (const Ladder& ladder : ladders_) {
            add("  <line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" "
                "class=\"line {}\"/>\n",
                x, kLegendTop + 8, x + 24, kLegendTop + 8, ladder.name);
            label(x + 30, kLegendTop + 12, "start", ladder.name);
            x += 60 + 8 * static_cast<double>(ladder.name.size());
        }
    }

    const std::vector<Ladder>& ladders_;
    Range x_;
    std::string text_;
};

}  // namespace

Table tabulate_plot(const std::vector<Ladder>& ladders) {
    Table table = {"plot",
                   "by the number of live containers, network host",
                   {{"live", "live", 0},
                    {"first_p50", "start, us", 0},
                    {"first_p99", "p99", 0},
                    {"each_kb", "KB for each", 2}},
                   {}};
    for (const Ladder& ladder : ladders) {
        for (const Rung& rung : ladder.rungs) {
            table.rows.push_back({ladder.name,
                                  {double(rung.live), rung.figure("first_p50"),
                                   rung.figure("first_p99"), rung.figure("each_kb")}});
        }
    }
    return table;
}

void draw_plot(const std::vector<Ladder>& ladders, const std::string& path) {
    std::ofstream file(path);
    file << Drawing(ladders).draw();
    file.close();
    if (!file)
        fail("write {}", path);
}

}  // namespace sigil::bench
