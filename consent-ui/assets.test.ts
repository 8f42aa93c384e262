import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { assets, icon, stylesheet } from './assets.ts'
import { pageVersion } from './page-version.ts'

test('CX-18 assets carry the hash of their content in their address, and load nothing from elsewhere', () => {
  for (const { href, hash, body, contentType } of assets.values()) {
    assert.equal(hash, createHash('sha256').update(body).digest('hex').slice(0, 12))
    assert.match(href, new RegExp(`^/assets/bankside\\.${hash}\\.(css|svg)$`))
    assert.match(contentType, /^(text\/css|image\/svg\+xml); charset=utf-8$/)
    assert.doesNotMatch(body.toString(), /@import|url\(|<script|href=|\bon\w+=/)
  }
  assert.deepEqual([...assets.values()], [stylesheet, icon])
})

test('A11Y-07 colours follow the reader’s scheme, motion is only for those who want it', () => {
  const css = stylesheet.body.toString()
  for (const feature of ['prefers-color-scheme: dark', 'prefers-reduced-motion: no-preference', 'forced-colors: active', '@media print'])
    assert.ok(css.includes(feature), feature)
  assert.equal(css.match(/transition|animation/g)?.length, 1)
})

test('CX-19 the pages’ wording and make-up have a name', () => assert.match(pageVersion, /^[0-9a-f]{16}$/))
