import { Counter, Histogram, type Registry } from '@bankside/service-kit/metrics'

export type AuthServerMetrics = {
  readonly requests: Histogram<'listener' | 'route' | 'method' | 'status'>
  readonly journeys: Counter<'kind' | 'outcome'>
  readonly protocolErrors: Counter<'route' | 'error'>
  readonly faults: Counter<'route'>
  readonly keyFaults: Counter
  readonly rateLimited: Counter<'limit' | 'route'>
}

export function createAuthServerMetrics(registry: Registry): AuthServerMetrics {
  const registers = [registry]
  return {
    requests: new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Requests by route and status',
      labelNames: ['listener', 'route', 'method', 'status'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    journeys: new Counter({
      name: 'journeys_total',
      help: 'Journeys of customers, through the pages or by their session alone, by how they ended',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    protocolErrors: new Counter({
      name: 'protocol_errors_total',
      help: 'OAuth errors answered',
      labelNames: ['route', 'error'],
      registers,
    }),
    faults: new Counter({ name: 'faults_total', help: 'Errors of ours, answered with a reference', labelNames: ['route'], registers }),
    rateLimited: new Counter({
      name: 'rate_limited_total',
      help: 'Requests answered with 429, by what was used up',
      labelNames: ['limit', 'route'],
      registers,
    }),
    keyFaults: new Counter({ name: 'key_faults_total', help: 'Times that keys or secrets could not be read', registers }),
  }
}
