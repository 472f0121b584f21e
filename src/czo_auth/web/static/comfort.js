// Copying, printing, sending forms once, and fields filled in before the page had loaded. All pages work without scripts,
// so buttons that need one are hidden until this has run.
"use strict";

const spoken = document.getElementById("spoken");

function textOf(element) {
  const items = Array.from(element.querySelectorAll("li"), (item) => item.textContent.trim());
  return items.length ? items.join("\n") : element.textContent.trim();
}

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  let text = textOf(source);
  if ("withoutBlanks" in button.dataset) text = text.replace(/\s/g, "");
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context there is no clipboard; then the text is only selected.
    select(source);
    return;
  }
  spoken.textContent = "";
  const label = button.textContent;
  button.textContent = spoken.textContent = spoken.dataset.copied;
  setTimeout(() => { button.textContent = label; }, 2000);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// Submit a search that was typed before the page had loaded, or that the browser restored.
window.addEventListener("load", () => {
  for (const field of document.querySelectorAll('[role="search"] input')) {
    if (field.value !== field.defaultValue) {
      field.form.requestSubmit();
      break;
    }
  }
});

// A form that creates a secret is sent once: its button is disabled until the response. The server enforces it as well.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.elements.namedItem("nonce")) return;
  // After the current task, so that the value of the button is still sent.
  setTimeout(() => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
});
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});

// On a narrow screen, scroll the navigation to the current page.
for (const link of document.querySelectorAll("nav a[aria-current]")) {
  link.scrollIntoView({ block: "nearest", inline: "center" });
}

// The account menu closes on Escape and on clicks or focus elsewhere.
for (const menu of document.querySelectorAll("[data-menu]")) {
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

// Copy the entered address to the other form.
for (const link of document.querySelectorAll("a[data-carries]")) {
  link.addEventListener("click", () => {
    const address = new URL(link.href);
    const typed = document.getElementById(link.dataset.carries).value;
    if (typed) address.searchParams.set("email", typed);
    else address.searchParams.delete("email");
    link.href = address.href;
  });
}
