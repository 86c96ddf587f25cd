// A canvas that follows the size of its box and the resolution of the screen.

/** Call `draw(context, width, height)` [CSS px] now, and whenever the box changes size. */
export function fit(canvas, draw) {
  const context = canvas.getContext("2d");
  const box = canvas.parentElement;
  const repaint = () => {
    const [width, height] = [box.clientWidth, box.clientHeight];
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    draw(context, width, height);
  };
  new ResizeObserver(repaint).observe(box);
  return repaint;
}

export const FONT = '"Inter", "SF Pro Text", "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
