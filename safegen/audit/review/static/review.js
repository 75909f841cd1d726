// Keys. Everything that they do can be done by clicking too.
"use strict";

function typing(target) {
  return target.matches("input:not([type=radio]), textarea, select");
}

function choose(value) {
  const form = document.getElementById("verdict");
  if (!form) return;
  form.querySelector(`input[value=${value}]`).checked = true;
  form.elements.reason.focus();
}

function move(step) {
  const links = [...document.querySelectorAll(".records tbody a")];
  const at = links.indexOf(document.activeElement);
  const next = links[Math.min(Math.max(at + step, 0), links.length - 1)];
  if (next) next.focus();
}

function prefer(name, wanted) {
  document.body.classList.toggle(name, wanted);
  localStorage.setItem(name, wanted ? "yes" : "");
}

function toggle(name) {
  prefer(name, !document.body.classList.contains(name));
}

const keys = {
  n: () => document.getElementById("next")?.requestSubmit(),
  u: () => choose("upheld"),
  o: () => choose("overturned"),
  e: () => choose("escalated"),
  r: () => document.querySelector(".reveal button")?.click(),
  g: () => toggle("colour"),
  h: () => toggle("hidden"),
  j: () => move(1),
  k: () => move(-1),
  "?": () => document.getElementById("help")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    const form = event.target.closest("#verdict");
    if (form) form.requestSubmit();
    return;
  }
  if (event.key === "Escape" && typing(event.target)) event.target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return; // what is behind it is not seen
  const act = keys[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

// A request of htmx that was refused must not look like one that was granted.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!detail.isError) return;
  if (detail.xhr.status === 401) location.reload();
  const page = new DOMParser().parseFromString(detail.xhr.responseText, "text/html");
  const notice = document.getElementById("notice");
  notice.textContent = page.querySelector(".alert.pre")?.textContent ?? "That did not work.";
  notice.hidden = false;
});

// The button that showed an image sharp is gone, and the focus would be nowhere.
document.addEventListener("htmx:load", ({ detail }) => {
  if (detail.elt.matches("figure.held") && document.activeElement === document.body) {
    detail.elt.focus({ preventScroll: true });
  }
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-key]");
  if (button) keys[button.dataset.key]();
});

// Whoever signs in next asks for colour anew.
if (document.querySelector("form[action='/sign-in']")) localStorage.removeItem("colour");

for (const name of ["colour", "hidden"]) {
  document.body.classList.toggle(name, localStorage.getItem(name) === "yes");
}
