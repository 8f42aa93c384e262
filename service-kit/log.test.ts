import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog, infoLines } from './log.ts'

function lineOf(write: (log: ReturnType<typeof createLog>) => void): Record<string, unknown> {
  let text = ''
  write(createLog({ level: 'info', name: 'test' }, { write: (line: string) => (text += line) }))
  return JSON.parse(text) as Record<string, unknown>
}

test('a line is JSON with time, level and name', () => {
  const line = lineOf((log) => log.info({ interactionId: 'one' }, 'hello'))
  assert.deepEqual([line['level'], line['name'], line['msg'], line['interactionId']], [30, 'test', 'hello', 'one'])
  assert.match(String(line['time']), /^\d{4}-\d\d-\d\dT.*Z$/)
})

test('fields that hold secrets or persons are blanked wherever they are, headers too', () => {
  const secrets = { authorization: 's3cret', 'set-cookie': 's3cret', client_assertion: 's3cret', iban: 's3cret', username: 's3cret' }
  for (const object of [secrets, { request: secrets }, { request: { headers: secrets } }])
    assert.doesNotMatch(JSON.stringify(lineOf((log) => log.info(object, 'm'))), /s3cret/)
})

test('an error is written with its causes and codes, but without the values that libraries hang on it', () => {
  const cause = Object.assign(new Error('duplicate key'), {
    code: '23505',
    constraint: 'one_name',
    detail: 'Key (username)=(amelia)',
    values: ['amelia'],
  })
  const line = JSON.stringify(lineOf((log) => log.error({ err: new Error('failed', { cause }) }, 'm')))
  assert.match(line, /failed.*duplicate key/)
  assert.match(line, /"code":"23505"/)
  assert.match(line, /"constraint":"one_name"/)
  assert.doesNotMatch(line, /amelia/)
})

test('a line of which the fields come as text is the line that the log itself would have written', () => {
  const written: string[] = []
  const log = createLog({ level: 'info', name: 'test "quoted"' }, { write: (line: string) => written.push(line) })
  const fields = { interactionId: 'one', clientId: 'a "client"\n', refusals: ['a', 'b'], customerPresent: false, durationMs: 1.5 }
  log.info(fields, 'said "so"')
  infoLines(log, 'said "so"')(`,${JSON.stringify(fields).slice(1, -1)}`)
  const [own, byHand] = written.map((line) => line.replace(/"time":"[-0-9T:.]+Z"/, '"time":""'))
  assert.equal(byHand, own)
})

test('where such lines are not logged, none is', () => {
  const written: string[] = []
  const log = createLog({ level: 'warn', name: 'test' }, { write: (line: string) => written.push(line) })
  infoLines(log, 'request')(',"interactionId":"one"')
  assert.deepEqual(written, [])
})
