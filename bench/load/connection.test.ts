import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatRequest, header, parseAnswer } from './connection.ts'

const bytes = (text: string) => Buffer.from(text)

test('an answer is not an answer before its last byte', () => {
  const whole = bytes('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
  for (let length = 0; length < whole.length; length++) assert.equal(parseAnswer(whole.subarray(0, length)), undefined)
  assert.deepEqual({ ...parseAnswer(whole), head: '' }, { status: 200, head: '', body: 'hello', length: whole.length })
})

test('a chunked answer is put together', () => {
  const whole = bytes('HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n')
  for (let length = 0; length < whole.length; length++) assert.equal(parseAnswer(whole.subarray(0, length)), undefined)
  assert.equal(parseAnswer(whole)?.body, 'hello')
  assert.equal(parseAnswer(whole)?.length, whole.length)
})

test('an answer without a body ends with its head, and its fields are found in any case of letters', () => {
  const answer = parseAnswer(bytes('HTTP/1.1 303 See Other\r\nLOCATION: /auth/1\r\n\r\n'))
  assert.equal(answer && header(answer, 'location'), '/auth/1')
})

test('the length of a request is counted in bytes', () => {
  assert.match(formatRequest({ method: 'POST', origin: 'https://localhost:1', path: '/', json: 'é' }), /content-length: 4\r\n/)
})
