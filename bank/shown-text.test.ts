import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isShownText } from './shown-text.ts'

test('NAT-S3 NAT-S7 text that looks different from what it is, or like nothing, is not shown', () => {
  const unseen = ['', ' ', '\u00a0', 'a\u0000b', 'a\nb', 'a\u2028b', 'a\u2029b', 'a\u202eb', 'a\u2066b', 'a\u200bb', 'a\ufeffb', 'a\u00adb']
  const blank = ['\u3164', '\u2800', '\u115f', '\uffa0', '\u0301', 'a\ud800', 'a\ue000', 'a\u{e0001}', 'Z\u0300\u0301\u0302\u0303a']
  for (const text of [...unseen, ...blank]) assert.equal(isShownText(text), false, JSON.stringify(text))
  for (const text of ['Lunch', 'Chloé & Søn', 'e\u0301', 'Ελλάδα', '小明', 'Việt', '50% off!', '☕', '1'])
    assert.equal(isShownText(text), true, JSON.stringify(text))
})
