import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { refusalOf } from '@bankside/bank/refusal'
import { dottedPath } from './parse-body.ts'
import { readJson } from './strict-json.ts'

const read = (text: string) =>
  readJson(Object.assign(Readable.from([Buffer.from(text)]), { headers: {}, complete: true }) as unknown as IncomingMessage, dottedPath)
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

test('a name that occurs twice in one object is refused, however it is written and whatever its first value was', async () => {
  const ambiguous = [
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '[{"b":[{"a":{"x":1},"a":{}}]}]',
    '{"a":{"b":1,"c":{"d":2}},"a":{"b":1,"c":{"d":2}}}',
    '{"":0,"":0}',
    '{"\\"":0,"\\u0022":0}',
    '{"a\\\\":0,"x":":","a\\\\":0}',
    '{"1":0,"1":0}',
    '{"__proto__":1,"__proto__":1}',
  ]
  for (const text of ambiguous)
    await assert.rejects(read(text), (error) => refusalOf(error)?.message === 'a name occurs twice in one object', text)
})

test('colons, quotation marks and backslashes in strings are no names, and names of different objects may be the same', async () => {
  const plain = [
    '{"a":":","b":"\\":\\"","c":"\\\\","d":["x:y",":::"],"e":{"a":"{\\"a\\":1,\\"a\\":2}"}}',
    '[{"a":1},{"a":1},[],{},"a",1,null,true]',
    '{ "a" : { "a" : { "a" : -1.5e3 } } }',
    '"a:b"',
    nested(32),
    `["\\\\",${nested(31)}]`,
  ]
  for (const text of plain) assert.deepEqual(await read(text), JSON.parse(text), text)
})

test('a name is told from another whatever was read before', async () => {
  const before = '{"k":1,"\\\\":2}'
  for (let time = 0; time < 3; time++) JSON.parse(before)
  const repeated = (error: unknown) => refusalOf(error)?.message === 'a name occurs twice in one object'
  await assert.rejects(read('{"k":1,"\\u006e":2,"n":3}'), repeated)
})

test('what is nested too deeply is refused', async () => {
  for (const text of [nested(33), `["\\\\",${nested(32)}]`])
    await assert.rejects(read(text), (error) => refusalOf(error)?.message.includes('nested deeper'), text)
})
