// Live updates, and times in words. Every page works without this script.
(() => {
  "use strict";

  // How long ago a time is, in its title and beside recent ones.
  const tellTimes = () => {
    const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
    const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
    for (const element of document.querySelectorAll("time[datetime]")) {
      const then = Date.parse(element.getAttribute("datetime"));
      if (Number.isNaN(then)) continue;
      const seconds = (then - Date.now()) / 1000;
      const unit = units.find(([, size]) => Math.abs(seconds) >= size);
      const ago = unit ? format.format(Math.round(seconds / unit[1]), unit[0]) : "just now";
      element.title = new Date(then).toLocaleString() + ", " + ago;
      element.dataset.ago = ago;
    }
  };

  // Puts the page's new content in the place of the old one, and keeps what is open and where the focus is.
  const refresh = async () => {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
    if (answer.redirected || !answer.ok) {
      location.reload();
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const before = document.getElementById("content");
    const after = page.getElementById("content");
    if (!before || !after) return;
    const open = [...before.querySelectorAll("details")].map((element) => element.open);
    const isFocused = before.contains(document.activeElement);
    [...after.querySelectorAll("details")].forEach((element, index) => {
      element.open = open[index] ?? element.open;
    });
    before.replaceWith(after);
    document.body.dataset.live = page.body.dataset.live;
    if (isFocused) after.focus({ preventScroll: true });
    tellTimes();
  };

  const onChange = (event) => {
    const now = JSON.parse(event.data);
    const page = document.body.dataset;
    if (page.live !== undefined) {
      // Many pages learn of a change at once: they do not all ask at once.
      if (page.live !== now.live) setTimeout(() => refresh().catch(() => {}), Math.random() * 400);
      return;
    }
    const commit = now.sets[page.set];
    const bar = document.getElementById("newer");
    if (!bar || !page.commit || !commit || document.querySelector(".bar.notice:not(#newer)")) return;
    const newer = new URL(location.href);
    newer.searchParams.delete("at");
    newer.searchParams.delete("now");
    bar.querySelector("a").href = newer.href;
    bar.hidden = commit === page.commit;
  };

  const listen = () => {
    const source = new EventSource("/ui/events");
    source.addEventListener("change", onChange);
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return;
      // The session may be over: then the page leads to the form.
      if (document.body.dataset.live !== undefined) refresh().catch(() => {});
      setTimeout(listen, 30000 + Math.random() * 30000);
    };
  };

  document.documentElement.classList.add("script");
  tellTimes();
  setInterval(tellTimes, 60000);
  if (document.body.dataset.live !== undefined || document.body.dataset.commit) listen();
})();
