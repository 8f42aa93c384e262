import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics, Histogram, observerOf } from './metrics.ts'

test('what is observed for some labels is told as the histogram itself would have told it', async () => {
  const values = [0.001, 0.002, 0.0021, 0.5, 5, 5.1, 0]
  const told = await Promise.all(
    ['own', 'by label'].map(async (how) => {
      const registry = createMetrics('test')
      const options = { name: 'seconds', help: 'Seconds', labelNames: ['route', 'status'] as const, buckets: [0.002, 0.5, 5] }
      const histogram = new Histogram({ ...options, registers: [registry] })
      for (const labels of [
        { route: '/a', status: '200' },
        { route: '/b', status: '401' },
      ]) {
        const observe = how === 'own' ? observerOf(histogram, labels) : (value: number) => histogram.labels(labels).observe(value)
        for (const value of values) observe(value)
      }
      return registry.getSingleMetricAsString('seconds')
    }),
  )
  assert.match(told[0] ?? '', /seconds_bucket\{le="0\.5",process="test",route="\/b",status="401"\} 5/)
  assert.equal(told[0], told[1])
})
