import { useEffect, useEffectEvent, useId, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

import type { TimeMarker } from "../api/markers.ts";
import { counted } from "../format/count.ts";
import { dayAndTime } from "../format/time.ts";
import { useTheme } from "../shell/theme.ts";
import { useZone } from "../shell/timeStyle.ts";
import { useMedia } from "../shell/useMedia.ts";
import { ChartTable } from "./ChartTable.tsx";
import type { Drawing } from "./draw.ts";
import { wordsFor } from "./markers.ts";
import { bucketAt, sayBucket, type ChartSpec } from "./spec.ts";
import { useFinger } from "./useFinger.ts";
import "./charts.css";

interface TimeChartProps extends Omit<ChartSpec, "zone" | "scheme" | "markers"> {
  title: string;
  /** The whole chart in a sentence: what one is told who does not see it. */
  summary: string;
  markers?: readonly TimeMarker[];
  /** Called with a stretch of time, ms, that was dragged over, or chosen by Enter. */
  zoom?: (from: number, to: number) => void;
  /** Called to see more than this stretch of time; left out where there is no more. */
  zoomOut?: (() => void) | undefined;
  /** Small, without a title of its own in sight. */
  isBare?: boolean;
}

const MARKERS_TOLD = 4;

/**
 * A chart over time. The arrows read it bucket by bucket, Enter zooms into the one that is read; its numbers can be had
 * as a table.
 */
export function TimeChart(props: TimeChartProps): ReactNode {
  const { title, summary, kind, times, bucketMs, series, height, say, zoom, zoomOut, isBare = false } = props;
  const zone = useZone();
  const scheme = useScheme();
  const markers = useMemo(() => props.markers ?? [], [props.markers]);
  const spec = useMemo<ChartSpec>(
    () => ({ kind, times, bucketMs, series, markers, zone, scheme, height, say }),
    [kind, times, bucketMs, series, markers, zone, scheme, height, say],
  );
  const [pointed, setPointed] = useState(-1);
  const index = pointed < times.length ? pointed : -1;
  const titleId = useId();
  const { isDragged, begin } = useDrag();
  const [isFingered, setFingered] = useState(false);
  const { host, drawing, isUndrawn } = useDrawing(useHeld(spec, isDragged || isFingered), setPointed, zoom);
  const finger = useFinger(drawing, zoom, [isFingered, setFingered]);
  const hasFinger = useMedia("(any-pointer: coarse)");

  const step = (event: KeyboardEvent): void => {
    const last = times.length - 1;
    const from = index < 0 ? last + 1 : index;
    const moves: Record<string, number> = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last };
    const time = times[index];
    if (event.key === "Enter" && time !== undefined && zoom) {
      event.preventDefault();
      zoom(time, time + bucketMs);
      return;
    }
    const to = moves[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    const next = Math.min(Math.max(to, 0), last);
    setPointed(next);
    drawing.current?.point(next);
  };

  const time = times[index];
  const words = time === undefined ? "" : `${dayAndTime(time, zone)}: ${sayBucket(spec, index)}`;
  const wordsOf = wordsFor(markers);
  const told = markers.filter((marker) => time !== undefined && bucketAt(spec, Date.parse(marker.ts)) === index);
  return (
    <figure className={isBare ? "chart chart-bare" : "chart"}>
      <figcaption className={isBare ? "visually-hidden" : "chart-head"}>
        <h3 id={titleId}>{title}</h3>
        <ul className="chart-legend">
          {series.map(({ name, tone, isDashed }) => (
            <li key={name} data-tone={tone} data-dashed={isDashed}>
              {name}
            </li>
          ))}
        </ul>
      </figcaption>
      <div
        className="chart-host"
        ref={host}
        role="slider"
        tabIndex={0}
        aria-labelledby={titleId}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, times.length - 1)}
        aria-valuenow={Math.max(0, index)}
        aria-valuetext={words || summary}
        data-zooms={zoom !== undefined}
        style={{ height }}
        onKeyDown={step}
        onMouseDown={begin}
        {...finger}
        onPointerLeave={() => setPointed(-1)}
        onBlur={() => {
          setPointed(-1);
          drawing.current?.point(-1);
        }}
      />
      <div className="chart-foot">
        <p className="chart-words" data-testid="chart-words">
          {words || summary}
          {isUndrawn && " The drawing could not be loaded; its numbers are here."}
          {told.map((marker) => (
            <span key={marker.id} className="chart-marker">
              {wordsOf(marker)}
            </span>
          ))}
          {time === undefined && markers.length > 0 && (
            <span className="chart-marker" title={markers.slice(-MARKERS_TOLD).map(wordsOf).join("\n")}>
              {markers.length === 1 && markers[0]
                ? `${wordsOf(markers[0])}, ${dayAndTime(Date.parse(markers[0].ts), zone)}`
                : counted(markers.length, "deploy")}
            </span>
          )}
        </p>
        {hasFinger && zoom && time !== undefined && (
          <button
            type="button"
            className="button chart-zoom"
            data-testid="zoom-in"
            // The focus stays in the chart: what is read there is what it zooms into.
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => zoom(time, time + bucketMs)}
          >
            Zoom in
          </button>
        )}
        {zoomOut && (
          <button type="button" className="button chart-zoom" data-testid="zoom-out" onClick={zoomOut}>
            Zoom out
          </button>
        )}
        {!isBare && <ChartTable title={title} spec={spec} />}
      </div>
    </figure>
  );
}

/** Whether the mouse was pressed on the chart and not let go yet. */
function useDrag(): { isDragged: boolean; begin: () => void } {
  const [isDragged, setDragged] = useState(false);
  useEffect(() => {
    if (!isDragged) return undefined;
    const end = (): void => setDragged(false);
    // The window hears of it after the drawing, which is gone once newer numbers are drawn.
    addEventListener("mouseup", end);
    addEventListener("blur", end);
    return () => {
      removeEventListener("mouseup", end);
      removeEventListener("blur", end);
    };
  }, [isDragged]);
  return { isDragged, begin: () => setDragged(true) };
}

/** The newest value; while it is held the one that there was. */
function useHeld<Value>(value: Value, isHeld: boolean): Value {
  const [kept, setKept] = useState(value);
  if (!isHeld && kept !== value) setKept(value);
  return isHeld ? kept : value;
}

function useScheme(): "light" | "dark" {
  const theme = useTheme();
  const isDark = useMedia("(prefers-color-scheme: dark)");
  if (theme !== "system") return theme;
  return isDark ? "dark" : "light";
}

/**
 * Keeps the drawing of a spec in an element, at the element's width, in the theme's colours. isUndrawn: its script could
 * not be had; it is asked for again with the next numbers.
 */
function useDrawing(
  spec: ChartSpec,
  onPoint: (index: number) => void,
  zoom: ((from: number, to: number) => void) | undefined,
): { host: React.RefObject<HTMLDivElement | null>; drawing: React.RefObject<Drawing | null>; isUndrawn: boolean } {
  const [isUndrawn, setUndrawn] = useState(false);
  const host = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | null>(null);
  const select = useEffectEvent((from: number, to: number) => zoom?.(from, to));

  useEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    let isOver = false;
    let watcher: ResizeObserver | undefined;
    const begin = async (): Promise<void> => {
      const script = await import("./draw.ts").catch(() => null);
      // Left while the script was on its way.
      if (isOver) return;
      setUndrawn(script === null);
      if (script === null) return;
      const drawn = script.draw(element, spec, { onPoint, onSelect: (from, to) => select(from, to) });
      drawing.current = drawn;
      watcher = new ResizeObserver(() => drawn.resize(element.clientWidth));
      watcher.observe(element);
    };
    void begin();
    return () => {
      isOver = true;
      watcher?.disconnect();
      drawing.current?.destroy();
      drawing.current = null;
    };
  }, [spec, onPoint]);
  return { host, drawing, isUndrawn };
}
