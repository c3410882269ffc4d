"""Reports as pages: one self-contained file each, drawn by hand-made SVG."""
