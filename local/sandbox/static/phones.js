"use strict";

// The phones' buttons, and the keyboard's digits for the phone in a call. What comes of it is seen
// in the page's news.
const phonesWords = document.getElementById("phones-words");

async function act(phone, what, digits) {
  const number = encodeURIComponent(phone.dataset.number);
  const body = digits && JSON.stringify({ digits });
  let words = "";
  try {
    const answer = await fetch(`/twilio/phones/${number}/${what}`, {
      method: "POST",
      headers: body ? { "Content-Type": "application/json" } : {},
      body,
      signal: AbortSignal.timeout(10_000),
    });
    if (!answer.ok) words = (await answer.json()).error;
  } catch {
    words = "The sandbox does not answer.";
  }
  phonesWords.textContent = words;
}

// Keys go out in the order in which they were pressed.
let pressed = Promise.resolve();
function press(key) {
  const phone = key.closest(".phone");
  key.classList.add("pressed");
  setTimeout(() => key.classList.remove("pressed"), 200);
  pressed = pressed.then(() => act(phone, "press", key.dataset.key));
  pressed.then(look);
}

document.getElementById("phones").addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const phone = button.closest(".phone");
  // Where a click does not focus a button, the digits must still go to this phone.
  if (!phone.contains(document.activeElement)) phone.focus({ preventScroll: true });
  if (button.dataset.do === "press") return press(button);
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  await act(phone, button.dataset.do);
  await look();
  button.ariaBusy = null;
});

document.addEventListener("keydown", (event) => {
  if (!/^[0-9*#]$/.test(event.key) || event.repeat) return;
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const talking = [...document.querySelectorAll(".phone.talking")];
  const near = document.activeElement?.closest(".phone.talking");
  const phone = near ?? (talking.length === 1 ? talking[0] : null);
  if (phone) {
    event.preventDefault();
    press(phone.querySelector(`[data-key="${event.key}"]`));
  } else if (talking.length) phonesWords.textContent = "Several phones are in a call: choose one first.";
});
