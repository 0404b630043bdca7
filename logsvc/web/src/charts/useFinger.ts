import { useRef, type PointerEvent, type RefObject } from "react";

import type { Drawing } from "./draw.ts";

/** A finger that moved less has tapped. */
const DRAG_PX = 10;

type Handlers = Readonly<
  Record<"onPointerDown" | "onPointerMove" | "onPointerUp" | "onPointerCancel", (event: PointerEvent) => void>
>;

/**
 * Lets a finger drag over a stretch of a chart; up and down it scrolls the page, as `touch-action` says. A mouse drags
 * by the drawing's own means.
 */
export function useFinger(
  drawing: RefObject<Drawing | null>,
  zoom: ((from: number, to: number) => void) | undefined,
  [isDragging, setDragging]: readonly [boolean, (isDragging: boolean) => void],
): Handlers {
  const begun = useRef<number | null>(null);

  const end = (): void => {
    begun.current = null;
    setDragging(false);
    drawing.current?.mark(null);
  };
  return {
    onPointerDown: ({ pointerType, isPrimary, clientX }) => {
      begun.current = zoom && isPrimary && pointerType === "touch" ? clientX : null;
    },
    onPointerMove: ({ clientX }) => {
      if (begun.current === null) return;
      if (!isDragging && Math.abs(clientX - begun.current) < DRAG_PX) return;
      setDragging(true);
      drawing.current?.mark([begun.current, clientX]);
    },
    onPointerUp: ({ clientX }) => {
      const from = begun.current;
      if (from === null) return;
      const times = isDragging ? drawing.current?.mark([from, clientX]) : undefined;
      end();
      if (times && times[0] < times[1]) zoom?.(...times);
    },
    onPointerCancel: end,
  };
}
