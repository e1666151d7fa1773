// Building elements. What comes from the cache is hostile, so text is only ever text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** The element of an id; that it is there is the page's own business. */
export const at = (id) => document.getElementById(id);

/** An element with attributes and children; a child that is no element becomes text, null nothing. */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Sets text only where it is another: what has not changed is not announced, selected or painted anew. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes the children of an element those of the items, by key: an element that stays keeps focus and selection.
 * `make()` gives a new element, `update(element, item)` fills it.
 */
export function each(parent, items, key, make, update) {
  // An element that is moved loses the focus.
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let element = old.get(name);
    old.delete(name);
    if (!element) {
      element = make(item);
      element.dataset.key = name;
    }
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const gone of old.values()) gone.remove();
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

/** Replaces what is in an element; null is nothing. */
export function put(element, ...children) {
  element.replaceChildren(...children.filter((child) => child != null));
}

/** Shows one of two things. */
export function either(shown, hidden) {
  shown.hidden = false;
  hidden.hidden = true;
}
