// Says aloud, to those who listen, that a part of the page was replaced. Everything else is htmx's work.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "live") return;
  const announcement = document.getElementById("announcement");
  announcement.textContent = "";
  requestAnimationFrame(() => { announcement.textContent = announcement.dataset.changed; });
});
