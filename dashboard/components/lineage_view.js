// A lineage drawing in SVG: boxes and curves whose places come with the data; pans, zooms, tells what was clicked.
const NS = "http://www.w3.org/2000/svg";
const MARGIN = 48;
const LEGIBLE = 0.42;
const KEYS = "arrow keys go from one to the next, Enter chooses, plus and minus zoom, 0 shows everything";
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const views = new WeakMap();

function make(name, attributes, parent, text) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

class View {
  constructor(parent) {
    this.root = document.createElement("div");
    this.root.className = "lv";
    parent.appendChild(this.root);
    this.svg = make("svg", { role: "group" }, this.root);
    this.scene = make("g", {}, this.svg);
    this.at = { x: 0, y: 0, k: 1 };
    this.seen = new Set();
    this.items = new Map();
    this.focus = null;
    this.clicks = 0;
    this.tools();
    this.gestures();
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  // One stop for the Tab key, whatever the size of the graph: from there, arrow keys go on.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const here = this.items.get(document.activeElement?.getAttribute("data-id"));
    const act = {
      "+": () => this.zoom(1.25), "=": () => this.zoom(1.25), "-": () => this.zoom(0.8),
      "0": () => this.fit(this.bounds(this.data.nodes), true),
    }[event.key];
    if (act) act();
    else if (here && DIRECTIONS[event.key]) this.stop(this.beside(here, ...DIRECTIONS[event.key]), true);
    else return;
    event.preventDefault();
  }

  // The nearest in a direction; what lies aside of it counts for farther.
  beside(here, dx, dy) {
    let best = here, least = Infinity;
    for (const item of this.items.values()) {
      const along = dx * (item.x - here.x) + dy * (item.y - here.y);
      const aside = Math.abs(dy * (item.x - here.x)) + Math.abs(dx * (item.y - here.y));
      if (item !== here && along > 1 && along + 2 * aside < least) { best = item; least = along + 2 * aside; }
    }
    return best;
  }

  // Where the Tab key stops; and, if asked, the keyboard's place, brought into sight.
  stop(item, focused) {
    for (const other of this.scene.querySelectorAll("[tabindex='0']")) other.setAttribute("tabindex", "-1");
    if (!item) return;
    item.group.setAttribute("tabindex", "0");
    if (!focused) return;
    item.group.focus({ preventScroll: true });
    const box = this.svg.getBoundingClientRect(), { x, y, k } = this.at;
    const px = x + k * item.x, py = y + k * item.y;
    const dx = px < MARGIN ? MARGIN - px : Math.min(0, box.width - MARGIN - px);
    const dy = py < MARGIN ? MARGIN - py : Math.min(0, box.height - MARGIN - py);
    if (dx || dy) this.move({ k, x: x + dx, y: y + dy });
  }

  tools() {
    const bar = document.createElement("div");
    bar.className = "lv-tools";
    for (const [sign, title, act] of [
      ["+", "Zoom in", () => this.zoom(1.25)],
      ["−", "Zoom out", () => this.zoom(0.8)],
      ["⤢", "Show everything", () => this.fit(this.bounds(this.data.nodes), true)],
    ]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.title = title;
      button.setAttribute("aria-label", title);
      button.addEventListener("click", act);
      bar.appendChild(button);
    }
    this.root.appendChild(bar);
  }

  gestures() {
    let start = null;
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      start = { x: event.clientX, y: event.clientY, at: { ...this.at }, moved: false, pointer: event.pointerId };
    });
    this.svg.addEventListener("pointermove", (event) => {
      if (!start) return;
      const dx = event.clientX - start.x, dy = event.clientY - start.y;
      if (!start.moved && Math.hypot(dx, dy) < 4) return;
      if (!start.moved) this.svg.setPointerCapture(start.pointer);
      start.moved = true;
      this.svg.classList.add("lv-dragging");
      this.move({ ...start.at, x: start.at.x + dx, y: start.at.y + dy });
    });
    const end = () => { start = null; this.svg.classList.remove("lv-dragging"); };
    this.svg.addEventListener("pointerup", end);
    this.svg.addEventListener("pointercancel", end);
    this.svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = this.svg.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY * 0.0015), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
  }

  move(at) {
    this.at = at;
    this.scene.setAttribute("transform", `translate(${at.x} ${at.y}) scale(${at.k})`);
    this.svg.classList.toggle("lv-far", at.k < 0.62);
  }

  zoom(factor, x, y) {
    const box = this.svg.getBoundingClientRect();
    const px = x ?? box.width / 2, py = y ?? box.height / 2;
    const k = Math.min(3, Math.max(0.05, this.at.k * factor));
    const scale = k / this.at.k;
    this.move({ k, x: px - (px - this.at.x) * scale, y: py - (py - this.at.y) * scale });
  }

  bounds(nodes) {
    const xs = nodes.flatMap((n) => [n.x - n.w / 2, n.x + n.w / 2]);
    const ys = nodes.flatMap((n) => [n.y - n.h / 2, n.y + n.h / 2 + 12]);
    return { x1: Math.min(...xs), x2: Math.max(...xs), y1: Math.min(...ys), y2: Math.max(...ys) };
  }

  // What does not fit legibly is shown around the focus instead, unless everything was asked for.
  fit(b, smooth, least = 0) {
    const box = this.svg.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const whole = Math.min(1.15, (box.width - 2 * MARGIN) / (b.x2 - b.x1), (box.height - 2 * MARGIN) / (b.y2 - b.y1));
    const k = Math.max(whole, least);
    const centre = { x: (b.x1 + b.x2) / 2, y: (b.y1 + b.y2) / 2 };
    const focus = this.data.nodes.find((node) => node.focus);
    // Where not everything fits, the focus is what must be seen, along the sides that are too long.
    if (focus && k * (b.x2 - b.x1) > box.width) centre.x = focus.x;
    if (focus && k * (b.y2 - b.y1) > box.height) centre.y = focus.y + box.height / (3 * k);
    const to = { k, x: box.width / 2 - k * centre.x, y: box.height / 2 - k * centre.y };
    smooth ? this.glide(to) : this.move(to);
  }

  glide(to) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) { this.move(to); return; }
    const from = { ...this.at }, begun = performance.now(), length = 320;
    const step = (now) => {
      const t = Math.min(1, (now - begun) / length), e = 1 - (1 - t) ** 3;
      this.move({ k: from.k + (to.k - from.k) * e, x: from.x + (to.x - from.x) * e, y: from.y + (to.y - from.y) * e });
      if (t < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  visible(b) {
    const box = this.svg.getBoundingClientRect(), { x, y, k } = this.at;
    return x + k * b.x1 >= 0 && x + k * b.x2 <= box.width && y + k * b.y1 >= 0 && y + k * b.y2 <= box.height;
  }

  say(id, part) {
    this.clicks += 1;
    this.send({ id, part, click: this.clicks });
  }

  draw(data) {
    this.data = data;
    const active = this.scene.contains(document.activeElement) ? document.activeElement.getAttribute("data-id") : null;
    this.scene.replaceChildren();
    this.items = new Map();
    this.svg.setAttribute("aria-label", `lineage graph of ${data.nodes.length} boxes and ${data.edges.length} lines; ${KEYS}`);
    const fresh = data.focus !== this.focus;
    const before = fresh ? new Set() : this.seen;
    for (const edge of data.edges) this.edge(edge, !fresh && !before.has(edge.id));
    for (const node of data.nodes) this.node(node, !fresh && !before.has(node.id));
    const chosen = [...data.nodes, ...data.edges].find((item) => item.selected) ?? data.nodes.find((node) => node.focus);
    // A key that was pressed on something drawn anew must not lose its place.
    const kept = this.items.get(active);
    this.stop(kept ?? this.items.get(chosen?.id) ?? this.items.values().next().value, Boolean(kept));
    const added = data.nodes.filter((node) => !before.has(node.id));
    this.seen = new Set([...data.nodes, ...data.edges].map((item) => item.id));
    if (fresh) {
      this.focus = data.focus;
      const place = () => this.fit(this.bounds(data.nodes), false, LEGIBLE);
      place();
      if (!this.svg.getBoundingClientRect().width) requestAnimationFrame(place);
    } else if (added.length && !this.visible(this.bounds(added))) {
      const around = [...added, ...data.nodes.filter((node) => node.selected)];
      this.fit(this.bounds(around), true);
    }
  }

  pressable(group, item) {
    const { id } = item;
    group.setAttribute("data-id", id);
    group.setAttribute("role", "button");
    group.setAttribute("tabindex", "-1");
    group.setAttribute("aria-label", item.spoken || item.tooltip);
    group.setAttribute("aria-pressed", item.selected ? "true" : "false");
    make("title", {}, group, item.tooltip);
    this.items.set(id, { x: item.x, y: item.y, group });
    group.addEventListener("click", () => this.say(id, "body"));
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.say(id, "body"); }
    });
  }

  node(node, isNew) {
    const names = ["lv-node", `lv-${node.kind}`];
    if (node.focus) names.push("lv-focus");
    if (node.selected) names.push("lv-selected");
    if (isNew) names.push("lv-new");
    const left = -node.w / 2, top = -node.h / 2;
    const group = make("g", { class: names.join(" "), transform: `translate(${node.x} ${node.y})` }, this.scene);
    this.pressable(group, node);
    if (node.kind === "group") {
      for (const step of [8, 4]) {
        make("rect", { class: "lv-behind", x: left + step, y: top + step, width: node.w, height: node.h, rx: 10 }, group);
      }
    }
    make("rect", { class: "lv-card", x: left, y: top, width: node.w, height: node.h, rx: 10 }, group);
    if (node.colour) make("rect", { x: left + 1, y: top + 10, width: 4, height: node.h - 20, rx: 2, fill: node.colour }, group);
    const middle = node.subtitle ? -4 : 4;
    const far = Math.min(24, (node.w - 28) / (0.56 * Math.max(1, node.title.length)));
    make("text", { class: "lv-title", x: left + 14, y: middle, style: `--far: ${far}px` }, group, node.title);
    if (node.subtitle) make("text", { class: "lv-subtitle", x: left + 14, y: 14 }, group, node.subtitle);
    const sign = node.expanded ? "−" : node.hidden ? `+${node.hidden}` : "";
    if (sign) {
      const badge = make("g", { class: "lv-badge", transform: `translate(${node.w / 2 - 22} ${node.h / 2})` }, group);
      const wide = Math.max(20, 12 + 6.5 * sign.length);
      make("rect", { x: -wide / 2, y: -9, width: wide, height: 18, rx: 9 }, badge);
      make("text", { x: 0, y: 0.5 }, badge, sign);
      make("title", {}, badge, node.expanded ? "Take this hop away again" : `${node.hidden} more edges: click to draw them`);
      badge.addEventListener("click", (event) => { event.stopPropagation(); this.say(node.id, "badge"); });
    }
  }

  edge(edge, isNew) {
    const names = ["lv-edge", edge.declared ? "lv-declared" : "lv-inferred"];
    if (edge.selected) names.push("lv-selected");
    if (isNew) names.push("lv-new");
    const group = make("g", { class: names.join(" "), style: `--accent: ${edge.colour}` }, this.scene);
    this.pressable(group, edge);
    make("path", { class: "lv-hit", d: edge.path }, group);
    const line = make("path", {
      class: "lv-stroke", d: edge.path, "stroke-width": 1.2 + 1.6 * edge.strength,
      opacity: 0.35 + 0.6 * edge.strength,
    }, group);
    if (edge.declared) line.setAttribute("stroke-dasharray", "6 5");
    const back = edge.down ? -7 : 7;
    make("path", { class: "lv-arrow", d: `M${edge.endX} ${edge.endY}l-4.5 ${back}h9z`, opacity: 0.5 + 0.5 * edge.strength }, group);
    const pill = make("g", { class: "lv-pill", transform: `translate(${edge.x} ${edge.y})` }, group);
    const wide = 12 + 5.6 * edge.label.length;
    make("rect", { x: -wide / 2, y: -8, width: wide, height: 16, rx: 8 }, pill);
    make("text", { x: 0, y: 0.5 }, pill, edge.label);
  }
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let view = views.get(parentElement);
  if (!view || !view.root.isConnected) {
    view = new View(parentElement);
    views.set(parentElement, view);
  }
  view.send = (what) => setTriggerValue("clicked", what);
  view.draw(data);
}
