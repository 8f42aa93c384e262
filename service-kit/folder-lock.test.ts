import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { lock, lockHolder, processIdentity, tryLock } from './folder-lock.ts'

const folder = mkdtempSync(join(tmpdir(), 'bankside locks '))
after(() => rmSync(folder, { recursive: true, force: true }))

test('a lock is held by one, who is named to the others, until it is released', async () => {
  const path = join(folder, 'one.lock')
  const held = tryLock(path)
  assert.ok('release' in held)
  assert.deepEqual(tryLock(path), { heldBy: processIdentity(process.pid) })
  await assert.rejects(lock(path, { timeoutMs: 60 }), /does not let go/)
  const waiting = lock(path, { timeoutMs: 5_000 })
  held.release()
  ;(await waiting).release()
  assert.equal(lockHolder(path), undefined)
})

test('the lock of a process that was killed is taken over, and by one only of eight that race', async () => {
  const path = join(folder, 'killed.lock')
  const program = `import { tryLock } from ${JSON.stringify(join(import.meta.dirname, 'folder-lock.ts'))}
    const held = tryLock(${JSON.stringify(path)})
    console.log('release' in held ? 'held' : 'refused')
    setInterval(() => {}, 1000)`
  const run = () => spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const first = run()
  assert.equal(String((await once(first.stdout, 'data'))[0]), 'held\n')
  first.kill('SIGKILL')
  await once(first, 'exit')
  assert.equal(lockHolder(path), undefined)
  const racers = Array.from({ length: 8 }, run)
  const said = await Promise.all(racers.map(async ({ stdout }) => String((await once(stdout, 'data'))[0]).trim()))
  for (const racer of racers) racer.kill('SIGKILL')
  assert.deepEqual(said.toSorted(), ['held', ...Array.from({ length: 7 }, () => 'refused')])
})

test('a number that now belongs to another process, and half a lock, hold nothing', () => {
  for (const left of [JSON.stringify({ pid: process.pid, startedAt: 'another boot/1' }), '{"pid":']) {
    const path = join(folder, 'left.lock')
    writeFileSync(path, left)
    const held = tryLock(path)
    assert.ok('release' in held)
    held.release()
  }
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('left')),
    [],
  )
})
