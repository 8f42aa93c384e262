/** Median, and the smallest and largest of the rounds: with a handful of rounds that says more than a deviation. */
export type Spread = { readonly median: number; readonly least: number; readonly most: number }

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  return { median: quantile(sorted, 0.5), least: quantile(sorted, 0), most: quantile(sorted, 1) }
}

export const median = (values: readonly number[]): number => spread(values).median

/** Of values sorted in ascending order, interpolated between neighbours. @throws {RangeError} when there are none. */
export function quantile(sorted: ArrayLike<number>, part: number): number {
  if (sorted.length === 0) throw new RangeError('no values')
  const position = (sorted.length - 1) * part
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? Number.NaN
  return below + (above - below) * (position - Math.floor(position))
}
