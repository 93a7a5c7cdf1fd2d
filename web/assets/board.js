// What the pages need beside htmx: the reader's zone, how old each time is, and whether the page
// still hears from the board.
(function () {
  "use strict";

  // The server writes times in the reader's zone, which only the browser knows.
  var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && document.cookie.split("; ").indexOf("zone=" + zone) < 0) {
    document.cookie = "zone=" + zone + "; path=/; max-age=31536000; samesite=lax" + (location.protocol === "https:" ? "; secure" : "");
    if (document.cookie.indexOf("zone=" + zone) >= 0 && document.querySelector("#live time")) {
      window.addEventListener("load", function () { htmx.trigger("#live", "zone"); });
    }
  }

  // On a narrow screen what waits for a person comes first: the filter is closed until it is asked for.
  var filters = document.querySelector("details.filters");
  var narrow = window.matchMedia("(max-width: 36rem)");
  function room() { if (filters) { filters.open = !narrow.matches || location.search !== ""; } }
  narrow.addEventListener("change", room);
  room();

  var silent = 16000; // three times what the board leaves between two signs of life, in milliseconds
  var live = document.querySelector("[sse-connect]");
  var note = document.getElementById("connection");
  var heard = Date.now();

  function age(ms) {
    var s = Math.max(0, Math.round(ms / 1000));
    if (s < 60) { return s + " s"; }
    if (s < 3600) { return Math.floor(s / 60) + " min"; }
    if (s < 86400) { return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min"; }
    return Math.floor(s / 86400) + " d";
  }

  // Each time says how far it is when the pointer rests on it, and to a screen reader on request.
  function ages() {
    document.querySelectorAll("time[datetime]").forEach(function (t) {
      var ms = Date.now() - Date.parse(t.getAttribute("datetime"));
      var said = ms >= 0 ? age(ms) + " ago" : "in " + age(-ms);
      if (t.title !== said) { t.title = said; }
    });
    document.querySelectorAll(".age[data-since]").forEach(function (e) { // where a pointer is too much to ask for
      var said = " (" + age(Date.now() - Date.parse(e.getAttribute("data-since"))) + " ago)";
      if (e.textContent !== said) { e.textContent = said; }
    });
  }

  function connection() {
    if (!live || !note) { return; }
    var old = Date.now() - heard;
    if (old < silent) {
      note.hidden = true;
      return;
    }
    var said = "This page has lost its connection to the board. What you see is " + age(old) + " old. It tries again by itself.";
    if (note.textContent !== said) { note.textContent = said; }
    note.hidden = false;
  }

  var words = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit",
    minute: "2-digit", second: "2-digit", timeZoneName: "short" });

  // A sign of life says when the board has read the migration last.
  function hear(event) {
    heard = Date.now();
    var at = document.getElementById("read");
    if (at && event.data && !isNaN(Date.parse(event.data))) {
      at.setAttribute("datetime", event.data);
      at.textContent = words.format(new Date(event.data)).replace(/,/g, "");
    }
    connection();
  }

  document.body.addEventListener("htmx:sseOpen", function (e) {
    heard = Date.now();
    e.detail.source.addEventListener("alive", hear);
    e.detail.source.addEventListener("changed", hear);
    connection();
  });
  // A signed-out page asks for its content in vain: the whole page goes to the sign-in.
  document.body.addEventListener("htmx:responseError", function (e) {
    if (e.detail.xhr.status === 401 || e.detail.xhr.status === 403) { location.reload(); }
  });

  ages();
  setInterval(function () { ages(); connection(); }, 1000);
})();
