// Shows the values at the step under the pointer.
"use strict";
for (const plot of document.querySelectorAll(".plot")) {
  const guide = plot.querySelector(".guide");
  const readout = plot.parentElement.querySelector("output");
  const last = Number(plot.dataset.last);
  const lines = [...plot.querySelectorAll("path")].map((path) => ({
    name: path.dataset.name,
    points: JSON.parse(path.dataset.points),
  }));
  const nearest = (points, step) =>
    points.reduce((a, b) => (Math.abs(b[0] - step) < Math.abs(a[0] - step) ? b : a));
  const show = (event) => {
    const box = plot.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const step = share * last;
    guide.style.left = `${100 * share}%`;
    guide.style.display = "block";
    readout.textContent = lines
      .map(({ name, points }) => [name, nearest(points, step)])
      .map(([name, [at, value]]) => `${name} ${value} at step ${at.toLocaleString("en")}`)
      .join(" · ");
  };
  const hide = () => {
    guide.style.display = "none";
    readout.textContent = "";
  };
  plot.addEventListener("pointermove", show);
  plot.addEventListener("pointerdown", show);
  plot.addEventListener("pointerleave", hide);
}
