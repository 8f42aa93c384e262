import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import type { Context } from 'koa'
import { allowFormsTo, setSecurityHeaders } from './security-headers.ts'

test('the headers of every answer are there whether or not it has others before, and what one answer changes no other has', () => {
  const responses = [{}, { 'X-Other': '1' }, {}].map((before) => {
    const res = new ServerResponse(new IncomingMessage(new Socket()))
    for (const [name, value] of Object.entries(before)) res.setHeader(name, value)
    const { setHeader } = res
    res.setHeader = () => assert.fail('they are put one by one')
    setSecurityHeaders({ res } as Context)
    return Object.assign(res, { setHeader })
  })
  const [first, second, third] = responses as [ServerResponse, ServerResponse, ServerResponse]
  const { 'x-other': other, ...others } = second.getHeaders()
  assert.deepEqual([other, { ...first.getHeaders() }], ['1', others])
  assert.equal(Object.keys(others).length, 13)

  allowFormsTo({ set: (name: string, value: string) => first.setHeader(name, value) } as unknown as Context, 'https://tpp.example')
  first.removeHeader('x-frame-options')
  assert.throws(() => first.appendHeader('referrer-policy', 'unsafe-url'), TypeError)
  assert.notDeepEqual({ ...first.getHeaders() }, others)
  assert.deepEqual({ ...third.getHeaders() }, others)
})
