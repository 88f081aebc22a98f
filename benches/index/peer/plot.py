"""Draws recall against queries per second from `bench-index --curves FILE`: plot.py FILE FOLDER, one SVG a data set."""

import json
import math
import sys

COLOURS = ["#0b6e4f", "#66b894", "#c0392b", "#8e44ad", "#2c6fbb"]
LEFT, TOP, WIDTH, HEIGHT = 70, 40, 560, 320
LOW = 0.8


def draw(name, curves):
    speeds = [qps for curve in curves for recall, qps in curve["points"] if recall >= LOW]
    low, high = math.log10(min(speeds)) - 0.05, math.log10(max(speeds)) + 0.05

    def place(recall, qps):
        x = LEFT + (recall - LOW) / (1 - LOW) * WIDTH
        return x, TOP + (high - math.log10(qps)) / (high - low) * HEIGHT

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="820" height="420" font-family="sans-serif" font-size="12">']
    out.append(f'<rect width="820" height="420" fill="white"/><text x="{LEFT}" y="22" font-size="15">{name}: recall@10 against queries per second, one thread</text>')
    for recall in [0.8, 0.85, 0.9, 0.95, 0.99, 1.0]:
        x, _ = place(recall, 10**low)
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{TOP + HEIGHT}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{recall}</text>')
    for power in range(math.floor(low), math.ceil(high) + 1):
        for step in (1, 2, 5):
            qps = step * 10**power
            if low <= math.log10(qps) <= high:
                _, y = place(LOW, qps)
                out.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eee"/>')
                out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{qps:,}</text>')
    for i, (curve, colour) in enumerate(zip(curves, COLOURS)):
        points = [place(recall, qps) for recall, qps in curve["points"] if recall >= LOW]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
        label = {"codes": "Qianmian, 8-bit codes", "f32": "Qianmian, f32"}.get(curve["engine"], curve["engine"])
        out.append(f'<text x="{LEFT + WIDTH + 12}" y="{TOP + 20 + 20 * i}" fill="{colour}">{label}</text>')
    return "\n".join(out + ["</svg>\n"])


curves = json.load(open(sys.argv[1]))
for name in dict.fromkeys(curve["data"] for curve in curves):
    with open(f"{sys.argv[2]}/index-{name}.svg", "w") as file:
        file.write(draw(name, [curve for curve in curves if curve["data"] == name]))
