import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorsIn } from './log-tail.ts'

test('errors that are logged from now on are told, and nothing else is', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bankside-logs-'))
  const path = join(folder, 'server.log')
  await writeFile(path, '{"level":50,"msg":"before"}\n')
  const said: string[] = []
  const tail = errorsIn([['server', path]], (line) => said.push(line))
  try {
    const lines = [
      '{"level":30,"msg":"a request"}',
      '{"level":50,"time":"now","err":{"message":"why"},"msg":"fault"}',
      '{"level":40,"msg":"\\"level\\":50"}',
      '    at a line of a stack {"level":50}',
      '{"level":60,"msg":"the end"}',
    ]
    await appendFile(path, `${lines.join('\n')}\n{"level":50,"msg":"not yet wri`)
    for (const deadline = performance.now() + 10_000; said.length < 2 && performance.now() < deadline; ) await sleep(50)
    assert.deepEqual(said, ['server: fault: why', 'server: the end'])
  } finally {
    tail.stop()
    await rm(folder, { recursive: true })
  }
})
