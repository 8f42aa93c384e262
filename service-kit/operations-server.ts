import { createServer, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Registry } from 'prom-client'
import { drain, limits, listen, refuseMalformed } from './tls-server.ts'

export type Check = () => Promise<unknown>

export type OperationsOptions = {
  readonly port: number
  /** A private one: what is answered here is for those who run the process. */
  readonly address: string
  /** What this process cannot serve without, by name. */
  readonly checks: Readonly<Record<string, Check>>
  readonly registry: Registry
}

export type Operations = {
  readonly port: number
  /** From now on the process says that it is not ready, so that nobody sends it more. */
  drain(): void
  close(): Promise<void>
}

const checkTakesAtMostMs = 2_000

/** `/health/live`: the process answers. `/health/ready`: it can serve. `/metrics`: for Prometheus. Plain HTTP. */
export async function startOperations({ port, address, checks, registry }: OperationsOptions): Promise<Operations> {
  let draining = false
  const answer = async (path: string, response: ServerResponse) => {
    if (path === '/health/live') return answerJson(response, 200, { status: 'live' })
    if (path === '/metrics') return void response.writeHead(200, { 'Content-Type': registry.contentType }).end(await registry.metrics())
    if (path !== '/health/ready') return answerJson(response, 404, { status: 'unknown path' })
    const results = await runAll(checks)
    const ready = !draining && Object.values(results).every((result) => result === 'ok')
    answerJson(response, ready ? 200 : 503, { status: ready ? 'ready' : draining ? 'draining' : 'not ready', checks: results })
  }
  const server = createServer({ headersTimeout: limits.headersTimeout, requestTimeout: limits.requestTimeout }, (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return answerJson(response, 405, { status: 'only GET' })
    answer((request.url ?? '/').split('?', 1)[0] ?? '/', response).catch(() => answerJson(response, 500, { status: 'failed' }))
  })
  server.on('clientError', refuseMalformed)
  return {
    port: await listen(server, { port, address }),
    drain: () => {
      draining = true
    },
    close: () => drain(server, { limitMs: checkTakesAtMostMs }),
  }
}

/** A reason is not answered: it may name hosts. The process logs it where it happens. */
async function runAll(checks: OperationsOptions['checks']): Promise<Record<string, 'ok' | 'failed' | 'too slow'>> {
  const run = async (check: Check) => {
    const tooLong = new AbortController()
    try {
      const slow = sleep(checkTakesAtMostMs, 'too slow' as const, { signal: tooLong.signal })
      return await Promise.race([check().then(() => 'ok' as const), slow])
    } catch {
      return 'failed' as const
    } finally {
      tooLong.abort()
    }
  }
  return Object.fromEntries(await Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await run(check)] as const)))
}

function answerJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(JSON.stringify(body))
}
