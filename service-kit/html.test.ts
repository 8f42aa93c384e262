import assert from 'node:assert/strict'
import { test } from 'node:test'
import { html, raw } from './html.ts'

test('every value is escaped, in text and in attributes', () => {
  const hostile = `"><script>alert('1')</script>&`
  assert.equal(
    String(html`<a title="${hostile}">${hostile}</a>`),
    '<a title="&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;">&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;</a>',
  )
})

test('pieces and lists of pieces are put in as they are; nothing, false and true leave nothing', () => {
  const items = ['a', '<b>'].map((item) => html`<li>${item}</li>`)
  assert.equal(String(html`<ul>${items}${false}${true}${null}${undefined}${0}${5n}</ul>`), '<ul><li>a</li><li>&lt;b&gt;</li>05</ul>')
})

test('raw is not escaped, nor escaped twice when it is put in', () => {
  assert.equal(String(html`${raw('<br>')}${html`&`}`), '<br>&')
})
