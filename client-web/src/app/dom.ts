/** Building the page's elements. Nothing here, or anywhere in the page, writes markup: texts become text nodes. */
export type Child = Node | string | false | undefined | readonly Child[];

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;
type Handlers = { readonly [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };

/** An element: its attributes (`true` for an empty one, `false` and undefined for none), and what it contains. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

function append(parent: Node, children: readonly Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child as readonly Child[]);
    else if (typeof child === "string") parent.appendChild(document.createTextNode(child));
    else if (child) parent.appendChild(child as Node);
  }
}

export function on<E extends HTMLElement>(element: E, handlers: Handlers): E {
  for (const [type, handler] of Object.entries(handlers)) element.addEventListener(type, handler as EventListener);
  return element;
}

export type ButtonLook = "primary" | "secondary" | "plain";

export const button = (text: string, look: ButtonLook, press: () => void, attributes: Attributes = {}): HTMLButtonElement =>
  on(h("button", { type: "button", class: look, ...attributes }, text), { click: press });

/** Text that somebody else wrote: in its own direction, and with what would turn the text around it made visible. */
export const foreign = (text: string, tag: "p" | "span" | "dd" = "span"): HTMLElement =>
  h(tag, { dir: "auto", class: "foreign" }, visible(text));

/** Control characters and overrides of direction as signs that can be seen. Line breaks and tabs stay. */
export const visible = (text: string): string =>
  text.replace(/[\p{Cc}\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu, (sign) =>
    sign === "\n" || sign === "\t" ? sign : `⟨${sign.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`,
  );

/** A heading with paragraphs, marked by a colour and an outline: for what must not be overlooked. */
export const notice = (kind: "calm" | "urgent", title: string, ...children: Child[]): HTMLElement =>
  h("section", { class: `notice ${kind}` }, h("h2", {}, title), children);

export const details = (title: string, ...children: Child[]): HTMLDetailsElement =>
  h("details", {}, h("summary", {}, title), children);

let last = 0;
/** An id that no other element has. */
export const freshId = (start: string): string => `${start}-${++last}`;
