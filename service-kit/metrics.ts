import { collectDefaultMetrics, type Histogram, Registry } from 'prom-client'

export { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** A registry of this process's own, never prom-client's global one: two servers in one test keep their counts apart. */
export function createMetrics(process: string): Registry {
  const registry = new Registry()
  registry.setDefaultLabels({ process })
  collectDefaultMetrics({ register: registry })
  return registry
}

/** What prom-client counts for some labels, and its types do not tell. */
type Counted = { readonly labels: object; readonly bucketValues: Record<string, number>; sum: number; count: number }
type Counts = { readonly hashMap: Readonly<Record<string, Counted>>; readonly upperBounds: readonly number[] }

/**
 * Counts for some labels, from zero, as `histogram.labels(…).observe` does, which looks at the labels with every value and costs ten times
 * as much. Made once for them.
 */
export function observerOf<Label extends string>(
  histogram: Histogram<Label>,
  labels: Readonly<Record<Label, string>>,
): (value: number) => void {
  histogram.zero(labels)
  const { hashMap, upperBounds } = histogram as unknown as Counts
  const counted = Object.values(hashMap).find((candidate) => candidate.labels === labels)
  if (counted === undefined) throw new Error('prom-client keeps its counts elsewhere')
  const names = upperBounds.map(String)
  return (value) => {
    counted.sum += value
    counted.count++
    const name = names[upperBounds.findIndex((bound) => value <= bound)]
    if (name !== undefined) counted.bucketValues[name] = (counted.bucketValues[name] ?? 0) + 1
  }
}
