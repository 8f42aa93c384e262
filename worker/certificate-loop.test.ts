import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { takeWarnings } from '@bankside/bank/clients/expiring-certificates'
import { later, openTestBank, type TestBank } from '@bankside/bank/payments/testing/test-bank'
import { createLog } from '@bankside/service-kit/log'
import { createMetrics } from '@bankside/service-kit/metrics'
import { sql } from '@bankside/service-kit/postgres'
import { certificateLoop } from './certificate-loop.ts'
import { createWorkerMetrics } from './worker-metrics.ts'

const inDays = (days: number) => later(days * 86_400_000)
let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

const note = (clientId: string, thumbprint: string, days: number) =>
  bank.owner.query(sql.unsafe`
    insert into clients.certificate (client_id, thumbprint, serial_number, issuer, expires_at, first_seen_at)
    values (${clientId}, ${thumbprint}, '1a', 'CN=An authority', ${sql.timestamp(inDays(days))}, ${sql.timestamp(later(0))})`)

test('CERT-15 at 30 days the log says so, once a week, by one worker, and a gauge counts down; whoever has another certificate is left alone', async () => {
  const lines: string[] = []
  const log = createLog({ level: 'info', name: 'worker' }, { write: (line: string) => void lines.push(line) })
  const registry = createMetrics('worker')
  const loop = certificateLoop({ database: bank.worker, log, metrics: createWorkerMetrics(registry) })
  await note('third-party', 'one', 31)
  await note('other-party', 'one', 10)
  await note('other-party', 'two', 300)
  await loop.work(later(0))
  assert.deepEqual(lines, [])
  const others = await Promise.all([takeWarnings(bank.worker, inDays(1)), takeWarnings(bank.worker, inDays(1))])
  await loop.work(inDays(1))
  assert.deepEqual([others.flat().length, lines.length], [1, 0], 'whoever was first has said it')
  await loop.work(inDays(7.9))
  assert.deepEqual(lines, [])
  await loop.work(inDays(8))
  const { msg, clientId, daysLeft, level } = JSON.parse(lines[0] ?? '{}')
  assert.deepEqual(
    [msg, clientId, daysLeft, level],
    ['the certificate of a third party ends soon, and no other was seen', 'third-party', 23, 40],
  )
  assert.match(await registry.metrics(), /bankside_third_party_certificate_seconds\{client_id="third-party",process="worker"\} 1987200/)
  assert.doesNotMatch(await registry.metrics(), /other-party/)

  await bank.owner.query(sql.unsafe`update clients.client set status = 'blocked' where client_id = 'third-party'`)
  await loop.work(inDays(30))
  assert.doesNotMatch(await registry.metrics(), /third-party"/)
  assert.equal(lines.length, 1)
})
