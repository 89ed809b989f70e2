// A tree of blocks becomes elements whose text is set, never parsed.
const TAGS = new Set(["div", "span", "h2", "h3", "p", "q", "code", "table", "tr", "td", "th", "ul", "li"]);

function element(block) {
  const made = document.createElement(TAGS.has(block.tag) ? block.tag : "span");
  if (block.look) made.className = block.look.split(" ").map((name) => `mp-${name}`).join(" ");
  if (block.text) made.appendChild(document.createTextNode(block.text));
  if (block.tooltip) made.title = block.tooltip;
  if (/^#[0-9a-f]{6}$/.test(block.colour || "")) made.style.setProperty("--accent", block.colour);
  if (typeof block.share === "number") {
    made.style.left = `${100 * block.start}%`;
    made.style.width = `${100 * block.share}%`;
  }
  for (const child of block.children || []) made.appendChild(element(child));
  return made;
}

export default function (component) {
  const { data, parentElement } = component;
  let root = parentElement.querySelector(":scope > .mp-root");
  if (!root) {
    root = document.createElement("div");
    root.className = "mp-root";
    parentElement.appendChild(root);
  }
  root.replaceChildren(element(data));
}
