"""The contrast of every text on a page, from its computed styles, as WCAG 2 defines it (run in the browser)."""

TOO_FAINT = r"""
(() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, under) => ({
    r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a),
    b: top.b * top.a + under.b * (1 - top.a), a: 1,
  });
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ({ r, g, b }) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ratio = (one, two) => {
    const [dark, bright] = [light(one), light(two)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const behind = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      layers.push(parse(getComputedStyle(each).backgroundColor));
    }
    return layers.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255, a: 1 });
  };
  const faint = [];
  let seen = 0;
  const check = (element, style, text) => {
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    const back = behind(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const found = ratio(over({ ...colour, a: colour.a * Number(style.opacity) }, back), back);
    seen += 1;
    if (found < (large ? 3 : 4.5)) faint.push([text.trim().slice(0, 40), Math.round(found * 100) / 100]);
  };
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const element of document.body.querySelectorAll("*")) {
    if (!element.getClientRects().length || ["SCRIPT", "TITLE"].includes(element.tagName)) continue;
    const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join("");
    if (own.trim() || element.tagName === "SELECT") check(element, getComputedStyle(element), own || element.tagName);
    if (element.placeholder) check(element, getComputedStyle(element, "::placeholder"), element.placeholder);
    for (const part of ["::before", "::after"]) {
      const style = getComputedStyle(element, part);
      if (!["none", "normal", '""'].includes(style.content)) check(element, style, style.content);
    }
  }
  return { faint, seen };
})()
"""
