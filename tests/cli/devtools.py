# SPDX-License-Identifier: Apache-2.0
"""Drives Chromium by its DevTools protocol over a pipe: JSON texts with a NUL behind each, the
browser reads descriptor 3 and writes descriptor 4. Nothing listens on a port."""
import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time

from nodes import running

BROWSER = shutil.which("chromium")
SECONDS = 60
TEXT = "(document.body ? document.body.innerText : '')"


class Browser:
    def __init__(self, base):
        self.base = base
        self.number = 0
        self.buffer = b""
        self.events = []
        their_in, self.to = os.pipe()
        self.origin, their_out = os.pipe()

        def place():
            one, two = os.dup(their_in), os.dup(their_out)
            os.dup2(one, 3)
            os.dup2(two, 4)

        with open(os.path.join(base, "browser.log"), "ab") as log:
            self.process = subprocess.Popen(
                [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--disable-dev-shm-usage", "--disable-background-networking", "--no-proxy-server",
                 "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
                 "--hide-scrollbars", f"--user-data-dir={os.path.join(base, 'profile')}",
                 "about:blank"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False,
                preexec_fn=place, env={**os.environ, "HOME": base}, start_new_session=True)
        os.close(their_in)
        os.close(their_out)
        running.add(self.process)

    def close(self):
        # Its helpers are in its group, which is of our making.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(SECONDS)
        running.discard(self.process)
        os.close(self.to)
        os.close(self.origin)

    def receive(self, until):
        """The next message, or None when the time is over."""
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.origin], [], [], max(0, until - time.monotonic()))
            if not ready:
                return None
            piece = os.read(self.origin, 1 << 20)
            if not piece:
                raise AssertionError("the browser ended")
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        until = time.monotonic() + SECONDS
        while True:
            answer = self.receive(until)
            if answer is None:
                raise AssertionError(f"the browser does not answer {method}")
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def receive_events(self, seconds):
        """Takes what the browser tells within that time."""
        until = time.monotonic() + seconds
        while True:
            message = self.receive(until)
            if message is None:
                return
            if "method" in message:
                self.events.append(message)

    def page(self, width=1280, height=900, phone=False):
        return Page(self, width, height, phone)


class Page:
    """A tab with storage of its own, as a person in front of it uses it."""

    def __init__(self, browser, width, height, phone):
        self.browser = browser
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        self.downloads = os.path.join(browser.base, context)
        browser.call("Browser.setDownloadBehavior", behavior="allow", browserContextId=context,
                     downloadPath=self.downloads)
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)
        self.session = browser.call("Target.attachToTarget", targetId=target["targetId"],
                                    flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")
        self.size(width, height, phone)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def size(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=phone)

    def dark(self, on):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def open(self, url):
        self.call("Page.navigate", url=url)

    def reload(self):
        """Returns when the old page is gone."""
        self.run("window.old = true")
        self.call("Page.reload")
        self.until("!window.old && document.readyState === 'complete'")

    def run(self, script):
        """The value of an expression, awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True,
                           returnByValue=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script[:200]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, script, seconds=SECONDS):
        """Waits until the expression is true; its value. One that fails, because the page is just
        being loaded, is not true yet."""
        end = time.monotonic() + seconds
        while True:
            value, why = None, ""
            try:
                value = self.run(script)
            except AssertionError as error:
                why = str(error)
            if value:
                return value
            if time.monotonic() > end:
                text = self.run(TEXT)
                raise AssertionError(f"not within {seconds} s: {script}\n{why}\n--- page\n"
                                     f"{text[:3000]}")
            self.browser.receive_events(0.05)

    def shows(self, text, seconds=SECONDS):
        """Waits until the page shows the text."""
        return self.until(f"{TEXT}.includes({json.dumps(text)})", seconds)

    def lacks(self, text, seconds=SECONDS):
        return self.until(f"!{TEXT}.includes({json.dumps(text)})", seconds)

    # ---- What a person does ----

    FIND = """(name) => {
        const shown = (e) => e.getClientRects().length > 0;
        const home = document.querySelector('dialog[open]') || document;
        const said = (e) => e.getAttribute('aria-label') || e.innerText.trim();
        const all = [...home.querySelectorAll('button, a, summary')].filter(shown);
        return all.find((e) => said(e) === name) || all.find((e) => e.innerText.trim() === name) ||
            all.find((e) => said(e).startsWith(name));
    }"""

    def press(self, name):
        """Clicks what has that name, with the mouse, where it is."""
        find = f"({self.FIND})({json.dumps(name)})"
        self.until(f"!!{find}")
        at = self.run(f"""(() => {{ const e = {find}; e.scrollIntoView({{block: 'center'}});
            const r = e.getBoundingClientRect();
            return [r.left + r.width / 2, r.top + Math.min(r.height / 2, 12)]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left",
                      clickCount=1)

    def fill(self, label, text):
        """Types into the control with that label."""
        find = f"""[...(document.querySelector('dialog[open]') || document)
            .querySelectorAll('label')].find((l) =>
            l.innerText.trim() === {json.dumps(label)} && l.getClientRects().length > 0)"""
        self.until(f"!!({find})")
        self.run(f"""(() => {{ const c = ({find}).control; c.scrollIntoView({{block: 'center'}});
            c.focus(); if (c.select) c.select(); }})()""")
        self.type(text)

    def choose(self, label, value):
        self.run(f"""(() => {{ const c = [...document.querySelectorAll('label')].find((l) =>
            l.innerText.trim() === {json.dumps(label)}).control; c.value = {json.dumps(value)};
            c.dispatchEvent(new Event('change', {{bubbles: true}})); }})()""")

    def attach(self, label, path):
        """Chooses a file in the control with that label."""
        control = self.call("Runtime.evaluate", expression=f"""[...document.querySelectorAll(
            'label')].find((l) => l.innerText.trim() === {json.dumps(label)}).control""")
        self.call("DOM.setFileInputFiles", objectId=control["result"]["objectId"], files=[path])

    def downloaded(self, end):
        """The bytes of the one file with that end that was saved; it is taken away."""
        names, until = [], time.monotonic() + SECONDS
        while not names:
            if time.monotonic() > until:
                raise AssertionError(f"nothing that ends with {end} was saved")
            self.browser.receive_events(0.05)
            if os.path.isdir(self.downloads):
                names = [name for name in os.listdir(self.downloads) if name.endswith(end)]
        path = os.path.join(self.downloads, names[0])
        with open(path, "rb") as file:
            data = file.read()
        os.remove(path)
        return data

    def type(self, text):
        self.call("Input.insertText", text=text)

    KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32, "ArrowDown": 40}

    def key(self, name, shift=False):
        code = self.KEYS[name]
        text = {"Enter": "\r", "Space": " "}.get(name, "")
        common = {"key": " " if name == "Space" else name, "code": name,
                  "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text,
                  **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def focused(self):
        """The name of what has the focus."""
        return self.run("""(() => { const e = document.activeElement;
            return e.getAttribute('aria-label') || (e.labels && e.labels[0] ?
            e.labels[0].innerText : e.innerText || '').trim(); })()""")

    def tab_to(self, name, presses=80):
        """Goes there by Tab alone."""
        for _ in range(presses):
            if self.focused().startswith(name):
                return
            self.key("Tab")
        raise AssertionError(f"Tab does not lead to {name!r}; now at {self.focused()!r}")

    def picture(self, path, whole=True):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(data["data"]))

    # ---- What happened ----

    def events(self, method):
        self.browser.receive_events(0.05)
        return [event["params"] for event in self.browser.events
                if event["method"] == method and event.get("sessionId") == self.session]
