import { infoLines, type Log } from '@bankside/service-kit/log'
import { Counter, Histogram, type Registry } from '@bankside/service-kit/metrics'
import type { Route } from './api.ts'
import type { Exchange } from './exchange.ts'

/** What is remembered of a request while it is answered, for one log line and the metrics. */
export type Seen = {
  readonly interactionId: string
  route?: Route
  clientId?: string
  refused(codes: readonly string[]): void
  unavailable(error: unknown): void
  fault(error: unknown): void
  end(exchange: Exchange): void
}

type Kind = { readonly duration: { readonly observe: (seconds: number) => void }; readonly fields: string }
export type Observer = { readonly begin: (api: string, interactionId: string) => Seen }

/**
 * Logs and counts requests by route pattern. A line names client, operation, status and refusal codes; never a token, an
 * account number, a name, an amount or an address.
 */
export function createObserver(log: Log, registry: Registry): Observer {
  const registers = [registry]
  const durations = new Histogram({
    name: 'bankside_request_duration_seconds',
    help: 'Time to answer a request',
    labelNames: ['api', 'method', 'route', 'status'] as const,
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
    registers,
  })
  const refusals = new Counter({
    name: 'bankside_refusals_total',
    help: 'Refusals by code',
    labelNames: ['api', 'code'] as const,
    registers,
  })
  const faults = new Counter({ name: 'bankside_faults_total', help: 'Errors of ours', labelNames: ['api'] as const, registers })
  const known = new Map<string, Map<Route | undefined, Kind[]>>()
  /** What answers of one status of one route have in common. */
  const kindOf = (api: string, route: Route | undefined, status: number): Kind => {
    const ofApi = known.get(api) ?? new Map<Route | undefined, Kind[]>()
    known.set(api, ofApi)
    const ofRoute = ofApi.get(route) ?? []
    ofApi.set(route, ofRoute)
    const found = ofRoute[status] ?? newKind(api, route, status)
    ofRoute[status] = found
    return found
  }
  const newKind = (api: string, route: Route | undefined, status: number): Kind => {
    // The methods of unknown paths are whatever the caller writes: they do not become labels.
    const labels = { api, method: route?.method ?? 'other', route: route?.path ?? 'none', status: String(status) }
    const fields = `,${JSON.stringify({ ...labels, operation: route?.door.operation }).slice(1, -1)}`
    return { duration: durations.labels(labels), fields }
  }
  const line = infoLines(log, 'request')
  return {
    begin(api, interactionId) {
      const startedAt = performance.now()
      let codes: readonly string[] = []
      return {
        interactionId,
        refused: (refusedWith) => {
          codes = refusedWith
          for (const code of new Set(refusedWith)) refusals.inc({ api, code })
        },
        unavailable: (error) => log.warn({ interactionId, err: error }, 'unavailable'),
        fault: (error) => {
          faults.inc({ api })
          log.error({ interactionId, err: error }, 'fault')
        },
        end({ request, response }) {
          const { route, clientId } = this
          const durationMs = performance.now() - startedAt
          const { duration, fields } = kindOf(api, route, response.statusCode)
          duration.observe(durationMs / 1_000)
          const client = clientId === undefined ? '' : `,"clientId":${JSON.stringify(clientId)}`
          const refused = codes.length === 0 ? '' : `,"refusals":${JSON.stringify(codes)}`
          const customerPresent = request.headers['x-fapi-customer-ip-address'] !== undefined
          line(
            `,"interactionId":"${interactionId}"${fields}${client}${refused},"customerPresent":${customerPresent},"durationMs":${Math.round(durationMs * 10) / 10}`,
          )
        },
      }
    },
  }
}
