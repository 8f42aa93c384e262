import { createHash } from 'node:crypto'
import { startResourceApi } from '@bankside/resource-api/resource-api'
import { systemClock } from '@bankside/service-kit/clock'
import { createLog } from '@bankside/service-kit/log'
import { createMetrics } from '@bankside/service-kit/metrics'
import { type Answer, exchange } from './exchange.ts'
import type { TestServer } from './test-server.ts'
import type { ThirdParty } from './third-party.ts'

const origin = 'https://localhost:1'

/** Tests of anything else never meet a limit. */
const farAway = { perAddress: 1_000_000, perClient: 1_000_000, perCustomer: 1_000_000, writes: 1_000_000 }

export type ResourceServer = Awaited<ReturnType<typeof startResourceServer>>

/** The real resource API over the same database, with the test server as its issuer. Tests stand outside the arrows. */
export async function startResourceServer(server: TestServer) {
  const api = await startResourceApi({
    databaseUrl: server.urls.resourceApiUrl,
    listen: { port: 0, address: '127.0.0.1' },
    certificates: [server.certificate],
    clientCa: server.ca,
    trustedProxyAddresses: [],
    issuer: { url: server.issuer, jwksUri: `${server.issuer}/jwks`, ca: server.ca },
    origin,
    audiences: server.audiences,
    clock: systemClock,
    rates: farAway,
    log: createLog({ level: 'error', name: 'resource-api' }, { write: () => {} }),
    registry: createMetrics('resource-api'),
  })
  return {
    /** One call by a client whose tokens are bound to a key. */
    async call(client: ThirdParty, method: string, path: string, token: string, body?: object): Promise<Answer> {
      const ath = createHash('sha256').update(token).digest('base64url')
      const headers = {
        authorization: `DPoP ${token}`,
        dpop: await client.proof(origin + path, { htm: method, ath }),
        ...(body && { 'content-type': 'application/json', 'x-idempotency-key': ath.slice(0, 40) }),
      }
      return exchange(`https://localhost:${api.port}${path}`, {
        method,
        ca: server.ca,
        headers,
        ...(body && { body: JSON.stringify(body) }),
      })
    },
    close: () => api.close(),
  }
}
