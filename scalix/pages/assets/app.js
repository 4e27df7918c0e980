// What makes pages quicker to use. All of them can be read without it.
"use strict";
(() => {
  const root = document.documentElement;

  // Light and dark: the system's, or what was chosen here.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  for (const button of document.querySelectorAll("[data-theme-switch]")) {
    const now = () => root.dataset.theme || (dark.matches ? "dark" : "light");
    const name = () => { button.textContent = now() === "dark" ? "Light" : "Dark"; };
    button.hidden = false;
    name();
    button.addEventListener("click", () => {
      root.dataset.theme = now() === "dark" ? "light" : "dark";
      const secure = location.protocol === "https:" ? "; Secure" : "";
      document.cookie = `scalix_theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Strict${secure}`;
      name();
    });
  }

  // A link's code stands after the #, where no server sees it; from here it is posted once.
  const code = document.querySelector("[data-code]");
  if (code && location.hash.length > 1) {
    code.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    code.form.requestSubmit();
  }

  // Texts to copy.
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }

  // Figures that are fetched again, while somebody looks.
  for (const part of document.querySelectorAll("[data-live]")) {
    const every = 1000 * Number(part.dataset.every || 5);
    let waits = every;
    const again = async () => {
      if (!document.hidden && !part.contains(document.activeElement)) {
        try {
          const answer = await fetch(location.href, {
            headers: { "x-scalix-part": part.dataset.live }, redirect: "error", cache: "no-store",
          });
          if (!answer.ok) throw new Error(String(answer.status));
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
          part.replaceChildren(...fresh.body.childNodes);
          part.classList.remove("stale");
          waits = every;
        } catch {
          part.classList.add("stale");
          waits = Math.min(waits * 2, 60000);
        }
      }
      setTimeout(again, waits);
    };
    setTimeout(again, every);
  }

  // A form is sent once, however often its button is pressed, unless the page stays as the answer is a file.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post" || "file" in event.target.dataset) return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
})();
