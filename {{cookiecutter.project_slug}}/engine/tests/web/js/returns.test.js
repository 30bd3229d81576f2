import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { ReturnObserver } from "../../../page/static/js/returns.js";

function shown(persisted) {
  return Object.assign(new Event("pageshow"), { persisted });
}

test("a page that is restored and a browser that is online again are reported", () => {
  const [page, returned] = [new EventTarget(), mock.fn()];
  const observer = new ReturnObserver(page, returned);
  observer.start();
  page.dispatchEvent(shown(false)); // the page's first one
  assert.equal(returned.mock.callCount(), 0);
  page.dispatchEvent(shown(true));
  assert.equal(returned.mock.callCount(), 1);
  page.dispatchEvent(new Event("online"));
  assert.equal(returned.mock.callCount(), 2);

  observer.stop();
  page.dispatchEvent(shown(true));
  page.dispatchEvent(new Event("online"));
  assert.equal(returned.mock.callCount(), 2);
});
